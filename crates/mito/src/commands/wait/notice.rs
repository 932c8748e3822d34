//! Explains a wait during which nothing runs.

use std::collections::BTreeMap;

use mitosis_client::UserClient;
use mitosis_protocol::job::{JobInfo, JobState, TaskCondition, TaskSelection};
use tokio::time::Instant;

use crate::commands::select_jobs;
use crate::login::reconnect::NOTICE_AFTER;
use crate::show::text::escaped;
use crate::show::{Output, Progress, reason, title};

/// Prints why nothing runs, once for each reason.
pub(super) struct WaitNotice<'a> {
    client: &'a UserClient,
    out: &'a Output,
    /// Since when nothing has run.
    idle_since: Option<Instant>,
    /// The last message.
    last: Option<String>,
}

impl<'a> WaitNotice<'a> {
    pub(super) fn new(client: &'a UserClient, out: &'a Output) -> Self {
        Self { client, out, idle_since: None, last: None }
    }

    /// Whether a reason may have to be printed soon.
    pub(super) fn is_due(&self) -> bool {
        !self.out.is_quiet() && self.last.is_none()
    }

    /// Prints a reason if no task has run or ended for a while.
    pub(super) async fn update(&mut self, progress: &Progress, infos: &BTreeMap<i64, JobInfo>, open: &[i64]) {
        let is_idle = open.iter().all(|job| infos[job].state != JobState::Running);
        if !is_idle || self.out.is_quiet() {
            self.idle_since = None;
            return;
        }
        if self.idle_since.get_or_insert_with(Instant::now).elapsed() < NOTICE_AFTER {
            return;
        }
        let Some(first) = open.first() else { return };
        let Some(reason) = self.reason(*first).await else { return };
        if self.last.as_ref() != Some(&reason) {
            progress.suspend(|| self.out.say(format_args!("mito: {}", escaped(&reason))));
            self.last = Some(reason);
        }
    }

    /// Why a job makes no progress. A failed request does not end the wait.
    async fn reason(&self, job: i64) -> Option<String> {
        let info = select_jobs::infos(self.client, &[job]).await.ok()?.into_iter().next()?;
        let title = title(job, info.name.as_deref());
        if let Some(reason) = reason(&info) {
            return Some(format!("{title}: {reason}"));
        }
        let states = vec![TaskCondition::Waiting];
        let selection = TaskSelection { states, ..TaskSelection::default() };
        let next = select_jobs::tasks(self.client, job, &selection, 1).await.ok()?.into_iter().next()?;
        let why = self.client.explain_task(next.task?.uuid).await.ok()?;
        let text = match why.hint {
            Some(hint) => format!("{}; {hint}", why.text.trim_end_matches('.')),
            None => why.text,
        };
        Some(format!("{title} is waiting: {text}"))
    }
}
