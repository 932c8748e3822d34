//! `POST /v1/tasks/{uuid}/stop`: stops a task that runs.

use axum::extract::State;
use mitosis_protocol::{ErrorCode, Uuid};
use mitosis_store::ops::By;
use mitosis_store::ops::tasks::StopRequested;

use super::find_own;
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/tasks/{uuid}/stop", Asks::Change, stop, "Stop a task that runs")
}

/// The agent that runs it is told at once; the task ends as Cancelled when its processes are gone. 404
/// when nobody runs it; 400 when a published worker does, which can't be told.
async fn stop(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    match app.store.request_stop(By::User(user.id), uuid, app.now()).await? {
        StopRequested::Agent(agent) => {
            app.wake_agent(agent);
            Ok(Empty)
        }
        StopRequested::LegacyWorker => {
            Err(Refusal::invalid("the worker that runs this task can't be told to stop it")
                .hint("stop the worker with force; the task is then run again by another")
                .into())
        }
        StopRequested::NotRunning => {
            Err(Refusal::new(ErrorCode::NotFound, format!("there is no task `{uuid}` that runs"))
                .hint("a task that waits can be cancelled; one that has ended stays as it is")
                .into())
        }
    }
}
