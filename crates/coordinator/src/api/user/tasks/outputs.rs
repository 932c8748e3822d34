//! `POST /v1/tasks/outputs`: how many tasks ended, and what they wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::output::{EndedLog, EndedOutput, MAX_OUTPUTS, OutputsReply, OutputsRequest};
use mitosis_protocol::{Role, Uuid};
use mitosis_store::ops::outputs::{self, StoredLog};
use tokio::time::{Instant, sleep, sleep_until};

use super::follow::MAX_WAIT;
use crate::api::body::Body;
use crate::api::objects::stored;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};

/// The shortest time between two reads of the store for one request.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/tasks/outputs",
        Access::Read,
        outputs,
        "Get the results and outputs of tasks that have ended",
    )
}

/// Replies when the first task of the list has ended, or when `wait` has passed.
async fn outputs(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    Body(request): Body<OutputsRequest>,
) -> Result<Json<OutputsReply>, ApiError> {
    if request.tasks.len() > MAX_OUTPUTS {
        return Err(Rejection::invalid(format!("a request names at most {MAX_OUTPUTS} tasks"))
            .hint("send them in several")
            .into());
    }
    let Some(first) = request.tasks.first().copied() else {
        return Err(Rejection::empty_list("tasks").into());
    };
    // A task that the caller may not see is not waited for, so that the time of the reply does not reveal its end.
    if let Some(wait) = request.wait
        && app.store.tasks_seen_by(user.id, &[first]).await?.get(&first) == Some(&true)
    {
        wait_for_end(&app, first, Instant::now() + wait.min(MAX_WAIT)).await?;
    }
    authentication.revalidate(&app).await?;
    let roles = app.store.groups_of(user.id).await?;
    let mut found = app.store.ended_outputs(&request.tasks).await?;
    found.retain(|_, output| may_view(&roles, &output.group_name));
    let small = found.iter().filter_map(|(task, output)| match &output.log {
        Some(StoredLog::Small(archive)) => Some((*task, archive.clone())),
        Some(StoredLog::Object) | None => None,
    });
    let small: Vec<_> = small.collect();
    // A log that can't be read now is reported as an object, which a link leads to.
    let mut logs = stored::read_many(&app, small).await;
    let outputs =
        request.tasks.iter().filter_map(|task| Some(reply(*task, found.remove(task)?, logs.remove(task))));
    Ok(Json(OutputsReply { outputs: outputs.collect() }))
}

/// Waits until a task has ended.
async fn wait_for_end(app: &App, task: Uuid, deadline: Instant) -> Result<(), ApiError> {
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

fn may_view(roles: &BTreeMap<String, Role>, group: &str) -> bool {
    roles.get(group).is_some_and(|role| Action::View.allowed_to(*role))
}

fn reply(uuid: Uuid, output: outputs::EndedOutput, bytes: Option<Bytes>) -> EndedOutput {
    let outputs::EndedOutput { group_name: _, result, warnings, log } = output;
    let log = log.map(|_| bytes.map_or(EndedLog::Object, |bytes| EndedLog::Archive { bytes }));
    EndedOutput { uuid, result, warnings, log }
}
