//! Downloads the output of ended tasks before it is shown.
//!
//! Outputs are shown in the order of the tasks. Downloading one after the other would take longer than short commands
//! themselves.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use mitosis_client::UserClient;
use mitosis_protocol::{ArtifactKind, Uuid};

use crate::process::failure::Failure;
use crate::task_io::exit::TaskExit;
use crate::task_io::follow::{self, CachedOutput};

/// The largest number of outputs that are downloaded or cached at once.
const CONCURRENCY: usize = 16;

/// The largest archive that is prefetched.
const MAX_BYTES: i64 = 4 * 1024 * 1024;

/// Downloads outputs in advance.
pub(super) struct Prefetch<'a> {
    user: &'a UserClient,
    folder: &'a Path,
    in_flight: FuturesUnordered<LocalBoxFuture<'a, (Uuid, Option<CachedOutput>)>>,
    /// Tasks whose download is in flight or complete.
    started: HashSet<Uuid>,
    /// The downloaded outputs; none where the download failed.
    fetched: HashMap<Uuid, Option<CachedOutput>>,
}

impl<'a> Prefetch<'a> {
    /// Prefetches into a directory below `folder` for each task.
    pub(super) fn into(folder: &'a Path, user: &'a UserClient) -> Self {
        let (in_flight, started, fetched) = Default::default();
        Self { user, folder, in_flight, started, fetched }
    }

    /// The directory with the output of a task.
    pub(super) fn folder(&self, task: Uuid) -> PathBuf {
        self.folder.join(format!("mito-run-{task}"))
    }

    /// Starts to download the output of the next tasks that have ended. The last task of the list is the next one.
    pub(super) fn start(&mut self, tasks: &[Uuid], over: &HashSet<Uuid>) {
        for task in tasks.iter().rev().take(CONCURRENCY).copied() {
            if over.contains(&task) && self.started.insert(task) {
                let (user, folder) = (self.user, self.folder(task));
                // A failed download is repeated when the output is shown.
                let fetching = async move { (task, fetch(user, task, &folder).await.ok().flatten()) };
                self.in_flight.push(Box::pin(fetching));
            }
        }
    }

    /// Takes the output of a task, if it was prefetched.
    pub(super) async fn take(&mut self, task: Uuid) -> Option<CachedOutput> {
        if !self.started.remove(&task) {
            return None;
        }
        loop {
            if let Some(kept) = self.fetched.remove(&task) {
                return kept;
            }
            let (task, kept) = self.in_flight.next().await?;
            self.fetched.insert(task, kept);
        }
    }

    /// Continues the downloads while other output is shown.
    pub(super) async fn keep_fetching(&mut self) -> Infallible {
        loop {
            match self.in_flight.next().await {
                Some((task, kept)) => drop(self.fetched.insert(task, kept)),
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Prefetch<'_> {
    fn drop(&mut self) {
        for task in &self.started {
            super::remove_folder(&self.folder(*task));
        }
    }
}

async fn fetch(user: &UserClient, task: Uuid, folder: &Path) -> Result<Option<CachedOutput>, Failure> {
    let reply = user.task(task).await?;
    let is_large = reply
        .artifacts
        .iter()
        .any(|artifact| artifact.content_type == ArtifactKind::StdLog && artifact.size > MAX_BYTES);
    match TaskExit::from_info(&reply.info) {
        Some(outcome) if !is_large => follow::cache(user, task, outcome, folder).await.map(Some),
        _ => Ok(None),
    }
}
