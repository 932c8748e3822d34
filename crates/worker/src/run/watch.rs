//! Waits for another task (semantics §6.2).
//!
//! A native coordinator evaluates the watch itself, from the reports of the worker that holds the watched task,
//! and answers as soon as the target state is reached. With a legacy coordinator, the worker evaluates it: from
//! the stored task, from announcements on Redis, and from the state that a worker must have reached by now.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::limits::PREPARATION_ALLOWANCE;
use mitosis_domain::watch::{passed, presumed, reached};
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ErrorCode, ExecState, TaskState, Uuid};
use tokio::time::{Instant, timeout};

use super::process::limit_without_renewal;
use super::{Attempt, AttemptError, Protocol, RunContext};
use crate::exec_state::StateReporter;
use crate::retry::retry;

/// How long a native coordinator may hold the request.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Time between two checks with a legacy coordinator.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Waits for the task that `task` watches, before `task` gets a slot. Returns whether it reached the target
/// state in time; watching counts against the timeout.
pub(crate) async fn watch(
    context: &RunContext,
    reporter: &StateReporter,
    task: &FetchedTask,
) -> Result<bool, AttemptError> {
    let watch_timeout = PREPARATION_ALLOWANCE.min(task.timeout);
    let limit = limit_without_renewal(&task.spec);
    let watch = Watch { context, reporter, task };
    let watched = tokio::select! {
        watched = timeout(watch_timeout, watch.wait()) => watched,
        // Another worker may run the task now.
        () = context.lease.expired(limit), if limit.is_some() => return Err(AttemptError::RenewalOverdue),
    };
    match watched {
        Ok(there) => there.map(|()| true),
        Err(_) => {
            reporter.report(task.uuid, ExecState::WatchTimeout, task.timeout);
            Ok(false)
        }
    }
}

impl Attempt<'_> {
    /// Waits until the watched task, if there is one, has reached the target state.
    pub(super) async fn wait_for_watched_task(&self) -> Result<(), AttemptError> {
        Watch { context: self.context, reporter: self.reporter, task: &self.task }.wait().await
    }
}

/// A task that watches another one.
struct Watch<'a> {
    context: &'a RunContext,
    reporter: &'a StateReporter,
    task: &'a FetchedTask,
}

impl Watch<'_> {
    async fn wait(&self) -> Result<(), AttemptError> {
        let Some((uuid, target)) = self.task.spec.watch else { return Ok(()) };
        self.reporter.report(self.task.uuid, ExecState::Watch, self.task.timeout);
        let mut asks_coordinator = self.context.protocol == Protocol::Native;
        let mut first_seen_running = None;
        loop {
            let reached_target = match asks_coordinator {
                true => self.ask_coordinator(uuid, target).await,
                false => self.judge(uuid, target, &mut first_seen_running).await,
            };
            match reached_target {
                Ok(true) => return Ok(()),
                // The request was held.
                Ok(false) if asks_coordinator => continue,
                Ok(false) => {}
                Err(error) if error.status() == Some(401) => return Err(AttemptError::WorkerUnknown),
                // An earlier native coordinator does not evaluate watches.
                Err(error) if error.code() == Some(ErrorCode::NoSuchRoute) && asks_coordinator => {
                    asks_coordinator = false;
                    continue;
                }
                Err(error) => tracing::debug!(%error, watched = %uuid, "failed to read the watched task"),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn ask_coordinator(&self, uuid: Uuid, target: ExecState) -> Result<bool, ClientError> {
        let ask = || self.context.client.task_reached(uuid, target, LONG_POLL);
        retry(&*self.context.settings.entropy, "waiting for a watched task", ask).await
    }

    async fn judge(
        &self,
        uuid: Uuid,
        target: ExecState,
        first_seen_running: &mut Option<Instant>,
    ) -> Result<bool, ClientError> {
        let look = || self.context.client.task(uuid);
        let watched = retry(&*self.context.settings.entropy, "reading a watched task", look).await?.info;
        if reached(watched.state, watched.result, target) {
            return Ok(true);
        }
        if watched.state != TaskState::Running {
            *first_seen_running = None;
            return Ok(false);
        }
        let running_for = first_seen_running.get_or_insert_with(Instant::now).elapsed();
        let announced = match &self.context.redis {
            Some(redis) => redis.get(uuid).await,
            None => None,
        };
        let at_least =
            || (self.context.protocol == Protocol::Legacy).then(|| presumed(&watched.spec, running_for));
        Ok(announced.or_else(at_least).is_some_and(|now| passed(now, target)))
    }
}
