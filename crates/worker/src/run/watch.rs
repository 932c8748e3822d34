//! Waiting for another task (semantics §6.2).
//!
//! A coordinator of ours judges by itself, from what the holder of the watched task says, and answers as soon
//! as it has come far enough. Beside an old one, it is judged here: from the stored task, from what was
//! announced on Redis, and from what a worker must have come to by now.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::limits::PREPARATION_ALLOWANCE;
use mitosis_domain::watch::{passed, presumed, reached};
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ErrorCode, ExecState, TaskState, Uuid};
use tokio::time::{Instant, timeout};

use super::process::limit_without_renewal;
use super::{Attempt, Lost};
use crate::insist::insist;
use crate::live::Herald;
use crate::session::Session;

/// How long a coordinator of ours may hold the question.
const HOLD: Duration = Duration::from_secs(20);
/// Time between two looks beside an old one.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Waits for the task that another one watches, before that gets a slot. Answers whether it came far enough in time:
/// watching counts against the timeout.
pub(crate) async fn watch(session: &Session, herald: &Herald, task: &FetchedTask) -> Result<bool, Lost> {
    let patience = PREPARATION_ALLOWANCE.min(task.timeout);
    let limit = limit_without_renewal(&task.spec);
    let watch = Watch { session, herald, task };
    let watched = tokio::select! {
        watched = timeout(patience, watch.is_there()) => watched,
        // It may run elsewhere now.
        () = session.lease.over(limit), if limit.is_some() => return Err(Lost::Overdue),
    };
    match watched {
        Ok(there) => there.map(|()| true),
        Err(_) => {
            herald.tell(task.uuid, ExecState::WatchTimeout, task.timeout);
            Ok(false)
        }
    }
}

impl Attempt<'_> {
    /// Ends once the watched task, if there is one, has come far enough.
    pub(super) async fn watched_task_is_there(&self) -> Result<(), Lost> {
        Watch { session: self.session, herald: self.herald, task: &self.task }.is_there().await
    }
}

/// A task that watches another one.
struct Watch<'a> {
    session: &'a Session,
    herald: &'a Herald,
    task: &'a FetchedTask,
}

impl Watch<'_> {
    async fn is_there(&self) -> Result<(), Lost> {
        let Some((uuid, target)) = self.task.spec.watch else { return Ok(()) };
        self.herald.tell(self.task.uuid, ExecState::Watch, self.task.timeout);
        let mut is_judged_there = self.session.is_with_ours;
        let mut first_seen_running = None;
        loop {
            let looked = match is_judged_there {
                true => self.ask_whether(uuid, target).await,
                false => self.judge(uuid, target, &mut first_seen_running).await,
            };
            match looked {
                Ok(true) => return Ok(()),
                // It was held.
                Ok(false) if is_judged_there => continue,
                Ok(false) => {}
                Err(error) if error.status() == Some(401) => return Err(Lost::Unknown),
                // An earlier one of ours judges nothing.
                Err(error) if error.code() == Some(ErrorCode::NoSuchRoute) && is_judged_there => {
                    is_judged_there = false;
                    continue;
                }
                Err(error) => tracing::debug!(%error, watched = %uuid, "the watched task can't be seen"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn ask_whether(&self, uuid: Uuid, target: ExecState) -> Result<bool, ClientError> {
        let ask = || self.session.client.task_reached(uuid, target, HOLD);
        insist(&*self.session.settings.entropy, "asking about a watched task", ask).await
    }

    async fn judge(
        &self,
        uuid: Uuid,
        target: ExecState,
        first_seen_running: &mut Option<Instant>,
    ) -> Result<bool, ClientError> {
        let look = || self.session.client.task(uuid);
        let watched = insist(&*self.session.settings.entropy, "looking at a watched task", look).await?.info;
        if reached(watched.state, watched.result, target) {
            return Ok(true);
        }
        if watched.state != TaskState::Running {
            *first_seen_running = None;
            return Ok(false);
        }
        let running_for = first_seen_running.get_or_insert_with(Instant::now).elapsed();
        let announced = match &self.session.redis {
            Some(redis) => redis.look(uuid).await,
            None => None,
        };
        let at_least = || (!self.session.is_with_ours).then(|| presumed(&watched.spec, running_for));
        Ok(announced.or_else(at_least).is_some_and(|now| passed(now, target)))
    }
}
