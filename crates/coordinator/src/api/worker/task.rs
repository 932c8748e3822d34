//! `GET /workers/tasks/{uuid}`: the state of a watched task.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::task::{Phase, Task};
use mitosis_domain::worker::Worker;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::task::{GetTaskReply, RemoteFile};
use mitosis_protocol::{ArtifactKind, TaskInfo, TaskSpec, Uuid};

use crate::api::body::InPath;
use crate::api::members::permit;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/tasks/{uuid}", Access::Worker, task, "Get the state of a watched task")
}

/// Returns tasks that the worker holds, and those that these watch. Legacy workers expect a whole task, but only use its
/// state and result.
async fn task(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetTaskReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    if !worker.held.contains(&uuid) {
        require_reference(&app, &worker, &task, Reference::Watched).await?;
    }
    Ok(Json(GetTaskReply { info: progress(task), artifacts: Vec::new() }))
}

/// The task with its state and result only.
fn progress(task: Task) -> TaskInfo {
    let result = match &task.phase {
        Phase::Ended(ending) => Some(ending.result),
        Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => None,
    };
    TaskInfo {
        uuid: task.uuid,
        creator_username: task.creator,
        group_name: task.group_name,
        task_id: task.number,
        tags: Vec::new(),
        labels: Vec::new(),
        created_at: task.created_at,
        updated_at: task.updated_at,
        state: task.phase.state(),
        timeout: task.timeout.as_secs(),
        priority: task.priority,
        spec: TaskSpec::default(),
        result,
        upstream_task_uuid: None,
        downstream_task_uuid: None,
        reporter_uuid: None,
        repeats_task_uuid: None,
        warnings: Vec::new(),
    }
}

/// How a task refers to another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference {
    /// It watches the state.
    Watched,
    /// It downloads an artifact.
    Archive(ArtifactKind),
}

impl Reference {
    fn is_part_of(self, spec: &TaskSpec, wanted: Uuid) -> bool {
        match self {
            Self::Watched => spec.watch.is_some_and(|(watched, _)| watched == wanted),
            Self::Archive(kind) => spec.resources.iter().any(|resource| {
                matches!(&resource.remote_file, RemoteFile::Artifact { uuid, content_type }
                    if *uuid == wanted && *content_type == kind)
            }),
        }
    }
}

/// Checks that a task which the worker holds refers to the other task in this way, and that its creator may view it now.
pub(super) async fn require_reference(
    app: &App,
    worker: &Worker,
    other: &Task,
    reference: Reference,
) -> Result<(), ApiError> {
    for held in &worker.held {
        let held = app.retry.transient(|| app.store.task(*held)).await?;
        if let Some(held) = held.filter(|held| reference.is_part_of(&held.spec, other.uuid))
            && creator_may_view(app, &held, &other.group_name).await?
        {
            return Ok(());
        }
    }
    Err(Rejection::forbidden(
        "no task that the worker holds refers to this task with a creator who can view it",
    )
    .hint("the creator must be a member of the groups of all referenced tasks")
    .into())
}

/// Whether the creator of a task may view a group now.
pub(super) async fn creator_may_view(app: &App, held: &Task, group: &str) -> Result<bool, ApiError> {
    let creator = app.retry.transient(|| app.store.user(&held.creator)).await?;
    let Some(creator) = creator.filter(|creator| creator.state == AccountState::Active) else {
        return Ok(false);
    };
    let membership = app.retry.transient(|| app.store.membership(creator.id, group)).await?;
    Ok(permit(membership, group, Action::View).is_ok())
}
