//! What tasks have written that are over before it is their turn to be shown, brought here meanwhile.
//!
//! Outputs appear in the order of the tasks. Asking for one after the other would take longer than the short
//! commands themselves.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use mitosis_client::UserClient;
use mitosis_protocol::{ArtifactKind, Uuid};

use crate::process::failure::Failure;
use crate::task_io::exit::Outcome;
use crate::task_io::follow::{self, Kept};

/// So many outputs are under way or wait here at once.
const AT_ONCE: usize = 16;

/// A larger archive is read when its turn comes.
const LARGEST_BYTES: i64 = 4 * 1024 * 1024;

/// Fetches outputs ahead of their turn.
pub(super) struct Ahead<'a> {
    user: &'a UserClient,
    folder: &'a Path,
    under_way: FuturesUnordered<LocalBoxFuture<'a, (Uuid, Option<Kept>)>>,
    /// Under way or here.
    begun: HashSet<Uuid>,
    /// Nothing where it could not be fetched.
    here: HashMap<Uuid, Option<Kept>>,
}

impl<'a> Ahead<'a> {
    /// Into a folder below this one for each task.
    pub(super) fn into(folder: &'a Path, user: &'a UserClient) -> Self {
        let (under_way, begun, here) = Default::default();
        Self { user, folder, under_way, begun, here }
    }

    /// Where what a task has written is kept until it is shown.
    pub(super) fn folder(&self, task: Uuid) -> PathBuf {
        self.folder.join(format!("mito-run-{task}"))
    }

    /// Begins to fetch what the next tasks have written, as far as they are over. The last of the list is
    /// the next.
    pub(super) fn look(&mut self, tasks: &[Uuid], over: &HashSet<Uuid>) {
        for task in tasks.iter().rev().take(AT_ONCE).copied() {
            if over.contains(&task) && self.begun.insert(task) {
                let (user, folder) = (self.user, self.folder(task));
                // What can't be fetched ahead is asked for again when its turn comes.
                let fetching = async move { (task, fetch(user, task, &folder).await.ok().flatten()) };
                self.under_way.push(Box::pin(fetching));
            }
        }
    }

    /// What the task has written, if that was fetched ahead.
    pub(super) async fn take(&mut self, task: Uuid) -> Option<Kept> {
        if !self.begun.remove(&task) {
            return None;
        }
        loop {
            if let Some(kept) = self.here.remove(&task) {
                return kept;
            }
            let (task, kept) = self.under_way.next().await?;
            self.here.insert(task, kept);
        }
    }

    /// Goes on fetching while something else is shown.
    pub(super) async fn go_on(&mut self) -> Infallible {
        loop {
            match self.under_way.next().await {
                Some((task, kept)) => drop(self.here.insert(task, kept)),
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        for task in &self.begun {
            super::tidy(&self.folder(*task));
        }
    }
}

async fn fetch(user: &UserClient, task: Uuid, folder: &Path) -> Result<Option<Kept>, Failure> {
    let reply = user.task(task).await?;
    let is_large = reply
        .artifacts
        .iter()
        .any(|artifact| artifact.content_type == ArtifactKind::StdLog && artifact.size > LARGEST_BYTES);
    match Outcome::of_info(&reply.info) {
        Some(outcome) if !is_large => follow::keep(user, task, outcome, folder).await.map(Some),
        _ => Ok(None),
    }
}
