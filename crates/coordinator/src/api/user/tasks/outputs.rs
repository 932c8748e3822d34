//! `POST /v1/tasks/outputs`: how many tasks ended, and what they wrote.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::output::{EndedLog, EndedOutput, MAX_OUTPUTS, OutputsReply, OutputsRequest};
use mitosis_store::ops::outputs::{self, StoredLog};

use super::held::{may_view, roles_after_wait};
use crate::api::body::Body;
use crate::api::objects::stored;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::ApiError;

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
    let OutputsRequest { tasks, wait } = request;
    let roles = roles_after_wait(&app, &user, &authentication, &tasks, MAX_OUTPUTS, wait).await?;
    let mut found = app.store.ended_outputs(&tasks).await?;
    found.retain(|_, output| may_view(&roles, &output.group_name));
    let small = found.iter().filter_map(|(task, output)| match &output.log {
        Some(StoredLog::Small(archive)) => Some((*task, archive.clone())),
        Some(StoredLog::Object) | None => None,
    });
    let small: Vec<_> = small.collect();
    // A log that can't be read now is reported as an object, which a link leads to.
    let mut logs = stored::read_many(&app, small).await;
    let outputs = tasks.iter().filter_map(|task| Some(reply(*task, found.remove(task)?, logs.remove(task))));
    Ok(Json(OutputsReply { outputs: outputs.collect() }))
}

fn reply(uuid: Uuid, output: outputs::EndedOutput, bytes: Option<Bytes>) -> EndedOutput {
    let outputs::EndedOutput { group_name: _, result, warnings, log } = output;
    let log = log.map(|_| bytes.map_or(EndedLog::Object, |bytes| EndedLog::Archive { bytes }));
    EndedOutput { uuid, result, warnings, log }
}
