//! `GET /workers/tasks/{uuid}`: how far a task has come that the worker's own task watches.

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
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/tasks/{uuid}", Asks::Worker, task, "A task that is watched")
}

/// For tasks that the worker holds, and those that these watch. Published workers read a whole task here, and look
/// at its state and its result.
async fn task(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetTaskReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Refusal::no_such(ResourceKind::Task, uuid))?;
    if !worker.held.contains(&uuid) {
        needed(&app, &worker, &task, Need::Watched).await?;
    }
    Ok(Json(GetTaskReply { info: progress(task), artifacts: Vec::new() }))
}

/// State and result, and nothing of what the task does.
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
        timeout: task.timeout_seconds,
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

/// What a task needs of another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// To know how far it has come.
    Watched,
    /// One of its archives.
    Archive(ArtifactKind),
}

impl Need {
    fn is_named_by(self, spec: &TaskSpec, wanted: Uuid) -> bool {
        match self {
            Self::Watched => spec.watch.is_some_and(|(watched, _)| watched == wanted),
            Self::Archive(kind) => spec.resources.iter().any(|resource| {
                matches!(&resource.remote_file, RemoteFile::Artifact { uuid, content_type }
                    if *uuid == wanted && *content_type == kind)
            }),
        }
    }
}

/// Whether a task that the worker holds names another one for this, and its creator may see that one now.
pub(super) async fn needed(app: &App, worker: &Worker, other: &Task, need: Need) -> Result<(), ApiError> {
    for held in &worker.held {
        let held = app.retry.transient(|| app.store.task(*held)).await?;
        if let Some(held) = held.filter(|held| need.is_named_by(&held.spec, other.uuid))
            && creator_may_see(app, &held, &other.group_name).await?
        {
            return Ok(());
        }
    }
    Err(Refusal::forbidden("no task that the worker holds names this one, and has a creator who may see it")
        .hint("the creator of the task must be in the group of what it names")
        .into())
}

/// Whether whoever submitted a task may look into a group now.
pub(super) async fn creator_may_see(app: &App, held: &Task, group: &str) -> Result<bool, ApiError> {
    let creator = app.retry.transient(|| app.store.user(&held.creator)).await?;
    let Some(creator) = creator.filter(|creator| creator.state == AccountState::Active) else {
        return Ok(false);
    };
    let membership = app.retry.transient(|| app.store.membership(creator.id, group)).await?;
    Ok(permit(membership, group, Action::View).is_ok())
}
