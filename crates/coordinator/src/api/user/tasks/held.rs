//! Requests about many tasks that are held until one of them has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::{Role, Uuid};
use tokio::time::{Instant, sleep, sleep_until};

use super::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::revalidation::Authentication;
use crate::error::{ApiError, Rejection};

/// The shortest time between two reads of the store for one request.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Waits for the end of the first task of a list, if `wait` is given, and returns the roles of the caller in their
/// groups. Rejects an empty list, a list of more than `most` tasks, and a caller who lost access during the wait.
pub(super) async fn roles_after_wait(
    app: &App,
    user: &User,
    authentication: &Authentication,
    tasks: &[Uuid],
    most: usize,
    wait: Option<Duration>,
) -> Result<BTreeMap<String, Role>, ApiError> {
    if tasks.len() > most {
        return Err(Rejection::invalid(format!("a request names at most {most} tasks"))
            .hint("send them in several")
            .into());
    }
    let Some(first) = tasks.first() else {
        return Err(Rejection::empty_list("tasks").into());
    };
    if let Some(wait) = wait {
        wait_for_end(app, user, *first, wait).await?;
    }
    authentication.revalidate(app).await?;
    Ok(app.store.groups_of(user.id).await?)
}

/// Waits until a task has ended. A task that the caller may not see is not waited for, so that the time of the reply does
/// not reveal its end.
async fn wait_for_end(app: &App, user: &User, task: Uuid, wait: Duration) -> Result<(), ApiError> {
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
