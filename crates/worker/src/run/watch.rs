//! Waiting for another task (semantics §6.2).
//!
//! Judged from the stored task, which the coordinator shows to every worker that may see it; so the
//! condition holds with and without a pub/sub service.

use std::time::Duration;

use mitosis_domain::watch::reached;

use super::{Attempt, Lost};
use crate::insist::insist;

/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Attempt<'_> {
    /// Ends once the watched task, if there is one, has come far enough.
    pub(super) async fn watched_task_is_there(&self) -> Result<(), Lost> {
        let Some((uuid, target)) = self.task.spec.watch else { return Ok(()) };
        loop {
            let look = || self.session.client.task(uuid);
            match insist(&*self.session.settings.entropy, "looking at a watched task", look).await {
                Ok(watched) if reached(watched.info.state, watched.info.result, target) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.status() == Some(401) => return Err(Lost::Unknown),
                Err(error) => tracing::debug!(%error, watched = %uuid, "the watched task can't be seen"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
