//! `GET /workers/tasks/{uuid}`: a task that the worker's own task watches.

use axum::Json;
use axum::extract::State;
use mitosis_domain::worker::Worker;
use mitosis_protocol::task::GetTaskReply;
use mitosis_protocol::{Role, Uuid};

use crate::api::body::InPath;
use crate::api::user::tasks::view;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::dispatch::patience::patiently;
use crate::error::{ApiError, Refusal, Thing};

/// For tasks of groups that the worker serves with Write, and tasks that its own tasks name.
pub(super) async fn task(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetTaskReply>, ApiError> {
    let task =
        patiently(&app, || app.store.task(uuid)).await?.ok_or_else(|| Refusal::no_such(Thing::Task, uuid))?;
    serves_or_needs(&app, &worker, uuid, &task.group_name).await?;
    let artifacts = patiently(&app, || app.store.artifacts(task.id)).await?;
    Ok(Json(GetTaskReply {
        info: view::info(task),
        artifacts: artifacts.iter().map(view::artifact).collect(),
    }))
}

/// Whether a worker may look at a task: its group is served, or a task that it holds refers to it.
pub(super) async fn serves_or_needs(
    app: &App,
    worker: &Worker,
    uuid: Uuid,
    group: &str,
) -> Result<(), ApiError> {
    let groups = patiently(app, || app.store.worker_groups(worker.id)).await?;
    if groups.get(group).is_some_and(|role| *role >= Role::Write) {
        return Ok(());
    }
    for held in &worker.held {
        let held = patiently(app, || app.store.task(*held)).await?;
        if held.is_some_and(|held| refers_to(&held.spec, uuid)) {
            return Ok(());
        }
    }
    Err(Refusal::forbidden("the worker does not serve the group of this task")
        .hint("`mito client workers update-roles` lets it")
        .into())
}

fn refers_to(spec: &mitosis_protocol::TaskSpec, wanted: Uuid) -> bool {
    use mitosis_protocol::task::RemoteFile;
    spec.watch.is_some_and(|(watched, _)| watched == wanted)
        || spec.resources.iter().any(
            |resource| matches!(resource.remote_file, RemoteFile::Artifact { uuid, .. } if uuid == wanted),
        )
}
