//! `POST /workers/tasks`: the reports of a worker about the task that it holds (HTTP contract §12.2).

use axum::Json;
use axum::extract::State;
use mitosis_domain::failpoints;
use mitosis_domain::ids::TaskId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_objects::{Link, Right};
use mitosis_protocol::artifact::UploadArtifactRequest;
use mitosis_protocol::report::{ReportOp, ReportReply, ReportRequest};
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{ErrorCode, TaskResult, TaskResultMessage, Uuid};
use mitosis_store::ops::dispatch::{Completed, Completion, EndReport, FollowUp, Holder};

use crate::api::base_url::BaseUrl;
use crate::api::body::Body;
use crate::api::leases::lease_key;
use crate::api::objects::uploads::SupportsConditions;
use crate::api::routes::{Access, Routes};
use crate::api::upload_check::missing_archives;
use crate::api::user::artifacts::{Reserved, announced, reserved};
use crate::api::user::tasks::submission;
use crate::app::App;
use crate::auth::worker::{WorkerCaller, WorkerProgram};
use crate::error::{ApiError, Rejection};
use crate::secrets;

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers/tasks", Access::Worker, report, "Report on the current task")
}

/// Accepts reports only of the worker that holds the task. A former holder gets 404.
async fn report(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    program: WorkerProgram,
    base_url: BaseUrl,
    conditions: SupportsConditions,
    Body(request): Body<ReportRequest>,
) -> Result<Json<ReportReply>, ApiError> {
    let holder = match request.attempt {
        Some(key) => Holder::Lease(lease_key(key)),
        None => Holder::Worker(worker.id, TaskId(request.id)),
    };
    let announcement = Announcement::of(&request.op);
    let url = match request.op {
        ReportOp::Finish => end(&app, holder, ExecEnd::Finished).await?,
        ReportOp::Cancel => end(&app, holder, ExecEnd::Cancelled).await?,
        ReportOp::Upload(upload) => {
            let link = announce(&app, holder, conditions, &upload).await?;
            Some(base_url.resolve(link))
        }
        ReportOp::Submit(task) => follow_up(&app, holder, *task).await?,
        ReportOp::Commit(result) => commit(&app, holder, result).await?,
    };
    if program == WorkerProgram::Native && app.announcer.is_on() && !app.agents.reports_states(worker.uuid) {
        match (app.store.held(holder).await?, &worker.held[..]) {
            (Some(held), _) => announcement.announce(&app, held.task.uuid),
            // The task has ended.
            (None, [task]) => announcement.announce(&app, *task),
            (None, _) => {}
        }
    }
    Ok(Json(ReportReply { url }))
}

/// The announcement of a report.
#[derive(Clone, Copy)]
enum Announcement {
    Nothing,
    Finished,
    Uploads,
    Committed(Option<TaskResultMessage>),
}

impl Announcement {
    const fn of(op: &ReportOp) -> Self {
        match op {
            ReportOp::Finish => Self::Finished,
            ReportOp::Upload(_) => Self::Uploads,
            ReportOp::Commit(result) => Self::Committed(result.msg),
            ReportOp::Cancel | ReportOp::Submit(_) => Self::Nothing,
        }
    }

    fn announce(self, app: &App, task: Uuid) {
        match self {
            Self::Nothing => {}
            Self::Finished => app.announcer.finished(task),
            Self::Uploads => app.announcer.uploads(task),
            Self::Committed(msg) => app.announcer.committed(task, msg),
        }
    }
}

async fn end(app: &App, holder: Holder, end: ExecEnd) -> Result<Option<String>, ApiError> {
    match app.publish(app.retry.transient(|| app.store.report_end(holder, end, app.now())).await?) {
        EndReport::Recorded => Ok(None),
        EndReport::NotHeld => Err(lease_lost().into()),
    }
}

async fn announce(
    app: &App,
    holder: Holder,
    conditions: SupportsConditions,
    upload: &UploadArtifactRequest,
) -> Result<Link, ApiError> {
    let (kind, size) = (upload.content_type, announced(upload.content_length)?);
    let reservation =
        app.retry.transient(|| app.store.reserve_attempt_artifact(holder, kind, size, app.now())).await?;
    let Reserved { record, object } = reserved(app.publish(reservation))?;
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, object);
    failpoints::point("artifact.url_issued:before");
    let link = conditions.link(app, &key, record, Right::Upload { length: upload.content_length }, None)?;
    failpoints::point("artifact.url_issued:after");
    Ok(link)
}

async fn follow_up(
    app: &App,
    holder: Holder,
    request: SubmitTaskRequest,
) -> Result<Option<String>, ApiError> {
    let held = app.retry.transient(|| app.store.held(holder)).await?.ok_or_else(lease_lost)?;
    if request.group_name != held.task.group_name {
        return Err(other_group().into());
    }
    let task = submission::check(request, held.task.group, app.entropy.uuid())?;
    secrets::check(app, task.group, &task.spec).await?;
    let follow_up = app.retry.transient(|| app.store.submit_follow_up(holder, &task, app.now())).await?;
    match app.publish(follow_up) {
        FollowUp::Created(_) => Ok(None),
        FollowUp::NotHeld => Err(lease_lost().into()),
        FollowUp::TooEarly => Err(not_reported().into()),
        FollowUp::OtherGroup => Err(other_group().into()),
        FollowUp::Forbidden => Err(Rejection::forbidden("the group of the task does not have Write on the worker")
            .hint("grant it with `mito client workers update-roles`")
            .into()),
        FollowUp::CreatorDenied => {
            Err(Rejection::forbidden("the creator of the task no longer has permission to submit to the group")
                .hint("ask an Admin of the group")
                .into())
        }
        FollowUp::ForbiddenReference => Err(Rejection::forbidden(
            "a follow-up can refer to tasks of other groups only if the first task refers to them and its creator can view them",
        )
        .hint("add the references to the first task")
        .into()),
        FollowUp::CreatorNotActive => {
            Err(Rejection::new(ErrorCode::AccountNotActive, "the creator of the task is locked or deleted").into())
        }
    }
}

async fn commit(app: &App, holder: Holder, mut result: TaskResult) -> Result<Option<String>, ApiError> {
    if let Some(held) = app.retry.transient(|| app.store.held(holder)).await?
        && matches!(held.task.phase, Phase::Reported(..))
        && !missing_archives(app, holder).await.is_empty()
    {
        result.msg = result.msg.or(Some(TaskResultMessage::UploadResultTimeout));
    }
    let completion = Completion { holder, end: None, result };
    let outcome =
        app.retry.transient(|| app.store.complete(std::slice::from_ref(&completion), app.now())).await?;
    match app.publish(outcome).first() {
        Some(completed @ (Completed::Committed | Completed::Replayed)) => {
            if matches!(completed, Completed::Committed) {
                app.metrics.completed.inc();
            }
            Ok(None)
        }
        Some(Completed::NotReported) => Err(not_reported().into()),
        Some(Completed::Stale) | None => Err(lease_lost().into()),
    }
}

fn lease_lost() -> Rejection {
    Rejection::new(ErrorCode::LeaseLost, "the worker does not hold this task")
        .hint("discard it; the task has ended or another attempt runs it")
}

fn not_reported() -> Rejection {
    Rejection::invalid("Finish or Cancel must be reported first")
        .hint("that report says how the command has ended")
}

fn other_group() -> Rejection {
    Rejection::invalid("a follow-up must have the same group as the task that submits it")
        .hint("set `group_name` to that group")
}
