//! `POST /v1/jobs`: submits jobs.

use std::collections::BTreeSet;
use std::panic::resume_unwind;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::explain::placement::Placement;
use mitosis_domain::explain::resources_text;
use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_domain::permission::Action;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::job::{self, SubmitJobsReply, SubmitJobsRequest, SubmittedJob};
use mitosis_protocol::{ErrorCode, ResourceRequest};
use mitosis_store::ops::jobs::{JobSubmission, NewJob, Refusal};

use super::check::{self, CheckedJob, about, item};
use super::find::no_such;
use crate::api::body::Body;
use crate::api::members;
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::references::TaskReferences;
use crate::api::user::tasks::submission;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::jobs::blueprints::blocking;
use crate::secrets::KnownSecrets;

/// The most warnings of a reply.
const MAX_WARNINGS: usize = 20;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/jobs", Access::Write, submit, Op::new("Submit jobs").or(409))
}

/// Accepts all jobs, or none. Needs Write in the group of each. When this replies, the jobs are stored durably, and the
/// first tasks of those that may start are Ready. With an idempotency key, a repeated request returns the jobs of the
/// first one.
async fn submit(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitJobsRequest>,
) -> Result<Json<SubmitJobsReply>, ApiError> {
    check::check_count(&request.jobs)?;
    let key = request.idempotency_key.map(|key| submission::idempotency(key, &request.jobs)).transpose()?;
    let groups = groups(&app, &user, &request.jobs).await?;
    check_receivers(&app, &request.jobs)?;
    let (now, entropy) = (app.now(), app.entropy.clone());
    let checked = blocking(move || check::check_all(request.jobs, &groups, now, &*entropy)).await;
    let checked = checked.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))?;
    let placements: Vec<_> = checked.iter().map(|job| job.placement.clone()).collect();
    let (names, jobs) = split(checked);
    let sizes: Vec<u64> = jobs.iter().map(|job| job.size).collect();
    let warnings = resource_warnings(&app, &names, &jobs, &placements).await?;
    let submitted = app.store.submit_jobs(user.id, &jobs, key.as_ref(), now).await?;
    failpoints::point("submit.commit:after");
    failpoints::point("submit.reply:before");
    match app.publish(submitted) {
        JobSubmission::Accepted(ids) => Ok(Json(reply(ids, names, false, warnings)?)),
        JobSubmission::Replayed(ids) => Ok(Json(reply(ids, names, true, warnings)?)),
        JobSubmission::KeyReused => Err(submission::key_reused().into()),
        JobSubmission::Denied => Err(submission::denied().into()),
        JobSubmission::UnknownJob(job) => Err(no_such(job).into()),
        JobSubmission::UnequalLengths { position, needed, tasks } => {
            let unequal = check::unequal_lengths(sizes[position], &format!("job {needed}"), tasks);
            Err(about(item(sizes.len(), position), unequal).into())
        }
        JobSubmission::SeveralTasks { position, needed, tasks } => {
            let several = check::several_tasks(&format!("job {needed}"), tasks);
            Err(about(item(sizes.len(), position), several).into())
        }
        JobSubmission::Refused(refusal) => Err(refused(&refusal).into()),
    }
}

/// The rejection of a job that the user may not submit as it is.
fn refused(refusal: &Refusal) -> Rejection {
    let hint = match refusal {
        Refusal::UnknownLimit(_) => {
            "`mito limits list` shows the limits of a group; an Admin of the group sets them"
        }
        Refusal::LimitTooSmall { .. } => {
            "its tasks could never start; use less, or ask an Admin to raise the limit"
        }
        Refusal::PriorityTooHigh { .. } => "use a smaller priority, or ask an Admin of the group",
    };
    Rejection::invalid(refusal).hint(hint)
}

/// The group of each job, in which the user may submit, after a check of the tasks and secrets that each refers to.
async fn groups(app: &App, user: &User, jobs: &[job::NewJob]) -> Result<Vec<GroupId>, ApiError> {
    let memberships = members::of_groups(app, user, jobs.iter().map(|job| &job.task.group_name)).await?;
    let references = TaskReferences::load(app, user, jobs.iter().map(|job| &job.task)).await?;
    let of_members = jobs.iter().filter_map(|job| {
        let Membership::Member(group, _) = memberships[&job.task.group_name] else { return None };
        Some((group, &job.task.task_spec))
    });
    let secrets = KnownSecrets::load(app, of_members).await?;
    let groups = jobs.iter().enumerate().map(|(position, job)| {
        let group = &job.task.group_name;
        members::permit(memberships[group], group, Action::Submit)
            .and_then(|group| references.check(&job.task.task_spec).map(|()| group))
            .and_then(|group| secrets.check(group, &job.task.task_spec).map(|()| group))
            .map_err(|rejection| about(item(jobs.len(), position), rejection))
    });
    Ok(groups.collect::<Result<_, _>>()?)
}

/// What the reply says about each job besides its number, and the jobs to store.
fn split(checked: Vec<CheckedJob>) -> (Vec<SubmittedJob>, Vec<NewJob>) {
    let each = checked.into_iter().map(|CheckedJob { group_name, job, .. }| {
        let shown = SubmittedJob { job: 0, name: job.name.clone(), tasks: job.size, group: group_name };
        (shown, job)
    });
    each.unzip()
}

/// Checks whether the administrator allows the receivers of all notifications.
fn check_receivers(app: &App, jobs: &[job::NewJob]) -> Result<(), Rejection> {
    jobs.iter().enumerate().try_for_each(|(position, job)| {
        check::check_receivers(&job.notify, &app.notify.allowed)
            .map_err(|rejection| about(item(jobs.len(), position), rejection))
    })
}

/// Warnings about jobs whose tasks no worker could run, whatever ends. Jobs with equal tags and requests get one.
async fn resource_warnings(
    app: &App,
    shown: &[SubmittedJob],
    jobs: &[NewJob],
    placements: &[Option<(TagSet, ResourceRequest)>],
) -> Result<Vec<String>, ApiError> {
    let mut different = BTreeSet::new();
    let mut warnings = Vec::new();
    for ((job, shown), placement) in jobs.iter().zip(shown).zip(placements) {
        let Some((tags, request)) = placement else { continue };
        let key = (job.group.0, tags.to_vec(), request.clone());
        if warnings.len() == MAX_WARNINGS || !different.insert(key) {
            continue;
        }
        let placement = app.store.placement(job.group, tags, request).await?;
        if let Some(Placement::Nowhere { workers, nearest }) = placement {
            warnings.push(resources_text(&shown.group, request, workers, nearest.as_ref()));
        }
    }
    Ok(warnings)
}

fn reply(
    ids: Vec<JobId>,
    jobs: Vec<SubmittedJob>,
    replayed: bool,
    warnings: Vec<String>,
) -> Result<SubmitJobsReply, Rejection> {
    if ids.len() != jobs.len() {
        let message = "the store returned the numbers of another number of jobs";
        return Err(Rejection::new(ErrorCode::Internal, message));
    }
    let jobs = ids.into_iter().zip(jobs).map(|(id, job)| SubmittedJob { job: id.0, ..job });
    Ok(SubmitJobsReply { jobs: jobs.collect(), replayed, warnings })
}
