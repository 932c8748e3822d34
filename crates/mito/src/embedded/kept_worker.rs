//! What users have changed about the worker of this machine. It is a new worker at each start, and gets it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mitosis_client::UserClient;
use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_protocol::{Role, Uuid};
use serde::{Deserialize, Serialize};

use super::USER;

/// The file with the settings, in the data directory.
const FILE: &str = "worker.json";

/// Tags, labels and groups of the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    /// The last registration. If its worker was killed, the coordinator has its record.
    worker: Option<Uuid>,
    tags: Vec<String>,
    labels: Vec<String>,
    groups: BTreeMap<String, Role>,
}

/// The settings of the worker, which are kept in a file.
#[derive(Debug)]
pub(super) struct KeptWorker {
    file: PathBuf,
    settings: Mutex<Settings>,
}

impl KeptWorker {
    /// Reads the settings of the last worker.
    pub(super) async fn open(home: &Path, user: &UserClient) -> Self {
        let file = home.join(FILE);
        let text = fs::read_to_string(&file).unwrap_or_default();
        let settings: Settings = serde_json::from_str(&text).unwrap_or_default();
        let kept = Self { file, settings: Mutex::new(settings) };
        kept.refresh(user).await;
        kept
    }

    /// The registration of the next worker. Groups that the user may not let a worker serve any more are left out.
    pub(super) async fn registration(&self, user: &UserClient) -> RegisterWorkerRequest {
        let own = user.groups().await.map(|reply| reply.groups).unwrap_or_default();
        let serves = |group: &String| own.get(group).is_some_and(|role| *role >= Role::Write);
        let Settings { tags, labels, groups, .. } = self.settings();
        let groups = groups.into_iter().filter(|(group, _)| group != USER && serves(group));
        let word = |role: Role| format!("{role:?}").to_lowercase();
        let groups = groups.map(|(group, role)| format!("{group}:{}", word(role))).collect();
        RegisterWorkerRequest { tags, labels, groups, ..RegisterWorkerRequest::default() }
    }

    /// Notes the worker of a new registration.
    pub(super) fn registered(&self, worker: Uuid) {
        self.change(|settings| settings.worker = Some(worker));
    }

    /// Writes the present settings of the worker.
    pub(super) async fn save(&self, user: &UserClient) {
        self.refresh(user).await;
    }

    /// Reads the settings of the worker from the coordinator, unless it is not registered any more.
    async fn refresh(&self, user: &UserClient) {
        let Some(worker) = self.settings().worker else { return };
        let Ok(reply) = user.worker(worker).await else { return };
        let (tags, labels, groups) = (reply.info.tags, reply.info.labels, reply.groups);
        self.change(|settings| *settings = Settings { worker: Some(worker), tags, labels, groups });
    }

    fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A file that can't be written is logged: the system runs without it.
    fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut settings);
        let text = serde_json::to_string(&*settings).unwrap_or_default();
        if let Err(error) = fs::write(&self.file, text) {
            tracing::warn!(%error, "failed to keep the settings of the worker");
        }
    }
}
