//! Requests about many tasks that are held until one of them has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::{Role, Uuid};
use tokio::time::{Instant, sleep, sleep_until};

use super::follow::MAX_WAIT;
use crate::app::App;
use crate::error::ApiError;

/// The shortest time between two reads of the store for one request.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Waits until a task has ended. A task that the caller may not see is not waited for, so that the time of the reply does
/// not reveal its end.
pub(super) async fn wait_for_end(app: &App, user: &User, task: Uuid, wait: Duration) -> Result<(), ApiError> {
    let deadline = Instant::now() + wait.min(MAX_WAIT);
    if app.store.tasks_seen_by(user.id, &[task]).await?.get(&task) != Some(&true) {
        return Ok(());
    }
    let mut changed = app.changed.subscribe();
    while Instant::now() < deadline && !app.stopping.is_cancelled() && !app.store.has_ended(task).await? {
        let until = deadline.min(Instant::now() + POLL_INTERVAL);
        tokio::select! {
            () = changed.notified() => sleep(PAUSE).await,
            () = sleep_until(until) => {}
            () = app.stopping.cancelled() => {}
        }
    }
    Ok(())
}

/// Whether a user with these roles may view the tasks of a group.
pub(super) fn may_view(roles: &BTreeMap<String, Role>, group: &str) -> bool {
    roles.get(group).is_some_and(|role| Action::View.allowed_to(*role))
}
