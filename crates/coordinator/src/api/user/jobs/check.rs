//! Converts a submission to jobs to store. These checks need no database.

use std::collections::BTreeSet;

use mitosis_blueprint::{Blueprint, MAX_TASKS, Plan};
use mitosis_domain::entropy::Entropy;
use mitosis_domain::ids::GroupId;
use mitosis_domain::job_plan::CHUNK;
use mitosis_domain::notify::{AllowedReceivers, InvalidReceiver, Receiver};
use mitosis_domain::selector::JobName;
use mitosis_domain::spec;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::job::{
    self, JobOptions, JobResource, MAX_EACH_NEEDS, MAX_JOB_RESOURCES, MAX_JOBS, MAX_NEEDS, NeedKind,
    NeededJob, NewNeed,
};
use mitosis_protocol::limit::{LimitUse, MAX_LIMIT, MAX_LIMITS_OF_JOB};
use mitosis_protocol::notify::{MAX_NOTIFICATIONS, Notify};
use mitosis_protocol::retry::{MAX_BACKOFF, MAX_RETRIES, RetryPolicy};
use mitosis_protocol::{ErrorCode, ResourceRequest, TaskSpec, Timestamp, duration};
use mitosis_store::ops::jobs::NewJob;
use mitosis_store::ops::webhooks::NewWebhook;

use crate::api::user::tasks::submission;
use crate::error::Rejection;
use crate::jobs::blueprints::{CHUNK_BYTES, JobBlueprint, UnusableBlueprint};

/// Tasks that are written together with their jobs: one for each job of the largest submission.
const FIRST_TASKS: u64 = MAX_JOBS as u64;

/// Most causes of a retry policy.
const MAX_CAUSES: usize = 16;

/// A job to store, and the name of its group.
#[derive(Debug)]
pub(crate) struct CheckedJob {
    pub(crate) group_name: String,
    pub(crate) job: NewJob,
    /// The tags and the request of its tasks, if the request is not the default.
    pub(crate) placement: Option<(TagSet, ResourceRequest)>,
}

/// A job in the form of an error: nothing for the only one of a request.
pub(super) fn item(jobs: usize, position: usize) -> Option<String> {
    (jobs > 1).then(|| format!("jobs[{position}]"))
}

/// Adds the job to an error about one of several.
pub(super) fn about(item: Option<String>, rejection: Rejection) -> Rejection {
    match item {
        Some(item) => rejection.about(item),
        None => rejection,
    }
}

/// Checks the number of jobs.
pub(super) fn check_count(jobs: &[job::NewJob]) -> Result<(), Rejection> {
    match jobs.len() {
        0 => Err(Rejection::empty_list("jobs")),
        count if count > MAX_JOBS => Err(Rejection::invalid(format!(
            "a submission can have at most {MAX_JOBS} jobs, this one has {count}"
        ))
        .hint("use parameters for tasks that differ in values only")),
        _ => Ok(()),
    }
}

/// Checks all jobs, each for its group.
pub(crate) fn check_all(
    jobs: Vec<job::NewJob>,
    groups: &[GroupId],
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Vec<CheckedJob>, Rejection> {
    let count = jobs.len();
    let checks = Checks { share: Share::of(count), now, entropy };
    let mut checked = Vec::with_capacity(count);
    let mut tasks = 0;
    for ((position, job), group) in jobs.into_iter().enumerate().zip(groups) {
        let job = checks.job(job, *group, position);
        let job = job.map_err(|rejection| about(item(count, position), rejection))?;
        tasks += job.job.size;
        if tasks > MAX_TASKS {
            return Err(too_many_tasks());
        }
        checked.push(job);
    }
    for (position, CheckedJob { job, .. }) in checked.iter().enumerate() {
        check_lengths(job, &checked).map_err(|rejection| about(item(count, position), rejection))?;
    }
    Ok(checked)
}

/// Checks what a job needs of the tasks of other jobs of the same request. The store checks existing ones.
fn check_lengths(job: &NewJob, all: &[CheckedJob]) -> Result<(), Rejection> {
    let other = |on| match on {
        NeededJob::Position(position) => Some((format!("jobs[{position}]"), all[position].job.size)),
        NeededJob::Job(_) => None,
    };
    let is_each = |on: NeededJob| job.needs.iter().any(|need| need.on == on && need.kind == NeedKind::Each);
    for need in job.needs.iter().filter(|need| need.kind == NeedKind::Each) {
        match other(need.on) {
            Some((name, tasks)) if tasks != job.size => return Err(unequal_lengths(job.size, &name, tasks)),
            _ => {}
        }
    }
    for resource in job.resources.iter().filter(|resource| !is_each(resource.from)) {
        match other(resource.from) {
            Some((name, tasks)) if tasks != 1 => return Err(several_tasks(&name, tasks)),
            _ => {}
        }
    }
    Ok(())
}

/// The rejection of a job whose tasks need those of a job with another number of tasks.
pub(super) fn unequal_lengths(size: u64, needed: &str, tasks: u64) -> Rejection {
    let task = if size == 1 { "task" } else { "tasks" };
    Rejection::invalid(format!(
        "it needs {needed} task by task, but has {size} {task}, and {needed} has {tasks}"
    ))
    .hint("use the same parameters for both jobs, or wait for the whole job")
}

/// The rejection of a job that fetches an artifact of a job with several tasks.
pub(super) fn several_tasks(needed: &str, tasks: u64) -> Rejection {
    Rejection::invalid(format!("it fetches an artifact of {needed}, which has {tasks} tasks"))
        .hint("need that job task by task (`each`) to fetch the artifact of the task with the same index")
}

fn too_many_tasks() -> Rejection {
    Rejection::invalid(format!("a submission can have at most {MAX_TASKS} tasks"))
        .hint("split it into several submissions")
}

/// What one job of a submission may use, so that many jobs take as much as one.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Tasks that are written with it.
    first: u64,
    /// Their bytes.
    bytes: u64,
    /// Tasks that are checked without being written.
    sample: u64,
}

impl Share {
    fn of(jobs: usize) -> Self {
        let jobs = (jobs as u64).max(1);
        Self { first: (FIRST_TASKS / jobs).clamp(1, CHUNK), bytes: CHUNK_BYTES / jobs, sample: CHUNK / jobs }
    }
}

/// Checks the jobs of one submission.
struct Checks<'a> {
    share: Share,
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl Checks<'_> {
    fn job(&self, new: job::NewJob, group: GroupId, position: usize) -> Result<CheckedJob, Rejection> {
        let job::NewJob { name, task, plan, needs, mut resources, options, retry, limits, notify } = new;
        let name = name.map(JobName::try_from).transpose().map_err(invalid_name)?.map(String::from);
        self.check_options(&options)?;
        retry.as_ref().map_or(Ok(()), check_retry)?;
        check_limits(&limits)?;
        check_needs(&needs, position)?;
        check_resources(&mut resources, position)?;
        let notify = webhooks(&notify)?;
        let plan = plan.as_deref().map(|plan| serde_json::from_str(plan.get()));
        let plan: Plan = plan.transpose().map_err(|error| invalid_plan(&error))?.unwrap_or_default();
        let (group_name, priority) = (task.group_name.clone(), task.priority);
        let labels = submission::words(task.labels.clone())?;
        let references = spec::referenced_tasks(&task.task_spec).collect();
        check_fetched(&task.task_spec, &resources)?;
        let request = &task.task_spec.request;
        let placement = match request.is_default() {
            true => None,
            false => Some((submission::words(task.tags.clone())?, request.clone())),
        };
        let blueprint = JobBlueprint::new(group, Blueprint { task, plan }).map_err(unusable)?;
        let place = |error| of_task(error, blueprint.size());
        let is_free = needs.is_empty() && resources.is_empty();
        let first = if is_free { self.first_tasks(&blueprint, &options) } else { 0 };
        let first = blueprint.tasks(0, first, priority, self.entropy).map_err(place)?;
        let size = blueprint.size();
        if size > first.len() as u64 {
            blueprint.check_sample(self.share.sample).map_err(place)?;
        }
        let blueprint = blueprint.to_json().map_err(unusable)?;
        let job = NewJob {
            group,
            name,
            labels,
            priority,
            blueprint,
            size,
            options,
            retry,
            limits,
            needs,
            resources,
            notify,
            references,
            first,
        };
        Ok(CheckedJob { group_name, job, placement })
    }

    /// How many tasks to write with a job that needs no other.
    fn first_tasks(&self, blueprint: &JobBlueprint, options: &JobOptions) -> u64 {
        let is_due = options.start_after.is_none_or(|at| at <= self.now);
        if options.paused || !is_due {
            return 0;
        }
        let most = options.max_running.unwrap_or(u64::MAX);
        self.share.first.min(most).min(blueprint.tasks_within(self.share.bytes))
    }

    fn check_options(&self, options: &JobOptions) -> Result<(), Rejection> {
        let JobOptions { start_after, expires_at, max_running, .. } = *options;
        if max_running == Some(0) {
            return Err(Rejection::invalid("max_running is 0, so no task could run")
                .hint("leave it out for no limit; `paused` begins without running tasks"));
        }
        let Some(expires_at) = expires_at else { return Ok(()) };
        if expires_at <= self.now {
            return Err(Rejection::invalid(format!("expires_at ({expires_at}) has passed")));
        }
        if start_after.is_some_and(|start_after| expires_at <= start_after) {
            return Err(Rejection::invalid("expires_at is not later than start_after")
                .hint("the tasks would expire before they may start"));
        }
        Ok(())
    }
}

fn check_retry(policy: &RetryPolicy) -> Result<(), Rejection> {
    let RetryPolicy { retries, on, backoff, max_backoff } = policy;
    if *retries == 0 || *retries > MAX_RETRIES {
        return Err(Rejection::invalid(format!("retries is {retries}; expected 1 to {MAX_RETRIES}"))
            .hint("leave out `retry` for no further attempts"));
    }
    if on.len() > MAX_CAUSES {
        return Err(Rejection::invalid(format!("a retry policy can have at most {MAX_CAUSES} causes")));
    }
    if *max_backoff > MAX_BACKOFF || backoff > max_backoff {
        let (first, most) = (duration::short(*backoff), duration::short(*max_backoff));
        let longest = duration::short(MAX_BACKOFF);
        return Err(Rejection::invalid(format!("invalid backoff: {first} to {most}"))
            .hint(format!("the first wait is at most the longest, which is at most {longest}")));
    }
    Ok(())
}

/// Whether the limits exist is decided when the job is stored.
fn check_limits(limits: &[LimitUse]) -> Result<(), Rejection> {
    if limits.len() > MAX_LIMITS_OF_JOB {
        return Err(Rejection::invalid(format!("a job can use at most {MAX_LIMITS_OF_JOB} limits")));
    }
    for (at, LimitUse { name, uses }) in limits.iter().enumerate() {
        if *uses == 0 || *uses > MAX_LIMIT {
            let message = format!("each task uses {uses} of the limit `{name}`; expected 1 to {MAX_LIMIT}");
            return Err(Rejection::invalid(message));
        }
        if limits[..at].iter().any(|other| other.name == *name) {
            return Err(
                Rejection::invalid(format!("the limit `{name}` occurs twice")).hint("write the sum of both")
            );
        }
    }
    Ok(())
}

/// The notifications of a job, without a check whether their receivers are allowed.
fn webhooks(notify: &[Notify]) -> Result<Vec<NewWebhook>, Rejection> {
    if notify.len() > MAX_NOTIFICATIONS {
        return Err(Rejection::invalid(format!("a job can have at most {MAX_NOTIFICATIONS} notifications")));
    }
    let webhook = |(position, Notify { url, on }): (usize, &Notify)| {
        let receiver = Receiver::parse(url).map_err(|why| invalid_receiver(position, why))?;
        Ok(NewWebhook { url: receiver.url().to_string(), origin: receiver.origin(), on: *on })
    };
    notify.iter().enumerate().map(webhook).collect()
}

fn invalid_receiver(position: usize, why: InvalidReceiver) -> Rejection {
    Rejection::invalid(format!("notify[{position}]: the URL can't get notifications: {why}"))
        .hint("for example https://hooks.example.org/jobs")
}

/// Checks whether the administrator allows the receivers of a job.
pub(crate) fn check_receivers(notify: &[Notify], allowed: &AllowedReceivers) -> Result<(), Rejection> {
    let receivers = notify.iter().filter_map(|notify| Receiver::parse(&notify.url).ok());
    match receivers.into_iter().find(|receiver| !allowed.allows(receiver)) {
        None => Ok(()),
        Some(receiver) => {
            let origin = receiver.origin();
            Err(Rejection::forbidden(format!("the coordinator may not send notifications to {origin}")).hint(
                "an administrator can add the receiver to `notify_allow` in the coordinator's configuration",
            ))
        }
    }
}

fn check_needs(needs: &[NewNeed], position: usize) -> Result<(), Rejection> {
    if needs.len() > MAX_NEEDS {
        let count = needs.len();
        return Err(Rejection::invalid(format!(
            "a job can need at most {MAX_NEEDS} jobs, this one needs {count}"
        ))
        .hint("add a job between them that needs some of them"));
    }
    let each = needs.iter().filter(|need| need.kind == NeedKind::Each);
    if each.clone().count() > MAX_EACH_NEEDS {
        return Err(Rejection::invalid(format!("a job can need at most {MAX_EACH_NEEDS} jobs task by task")));
    }
    let named_twice = |need: &&NewNeed| needs.iter().filter(|other| other.on == need.on).count() > 1;
    if let Some(need) = each.clone().find(named_twice) {
        let needed = name_of(need.on);
        return Err(Rejection::invalid(format!("it needs {needed} twice, and once of it task by task"))
            .hint("keep one of the two conditions"));
    }
    check_order(needs.iter().map(|need| need.on), position)
}

fn name_of(on: NeededJob) -> String {
    match on {
        NeededJob::Job(job) => format!("job {job}"),
        NeededJob::Position(position) => format!("jobs[{position}]"),
    }
}

/// Checks what tasks fetch from needed jobs. A destination that ends with `/` is a directory.
fn check_resources(resources: &mut [JobResource], position: usize) -> Result<(), Rejection> {
    if resources.len() > MAX_JOB_RESOURCES {
        return Err(Rejection::invalid(format!(
            "a job can fetch at most {MAX_JOB_RESOURCES} artifacts of other jobs"
        )));
    }
    for resource in resources.iter_mut() {
        if resource.local_path.ends_with('/') {
            resource.local_path.push_str(&resource.content_type.file_name());
        }
        spec::check_local_path(&resource.local_path).map_err(Rejection::invalid)?;
    }
    check_order(resources.iter().map(|resource| resource.from), position)
}

/// Checks that the artifacts have places of their own among the files of a task.
fn check_fetched(task: &TaskSpec, resources: &[JobResource]) -> Result<(), Rejection> {
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    let others = task.resources.iter().map(|resource| &*resource.local_path);
    let all = others.chain(task.files.keys().map(|path| &**path));
    paths.extend(all);
    match resources.iter().find(|resource| !paths.insert(&resource.local_path)) {
        Some(twice) => Err(Rejection::invalid(format!("two files have the path `{}`", twice.local_path))
            .hint("choose another path for one of them")),
        None => Ok(()),
    }
}

/// Checks that jobs of the same request come before those that need them.
fn check_order(mut needed: impl Iterator<Item = NeededJob>, position: usize) -> Result<(), Rejection> {
    let later = needed.find_map(|on| match on {
        NeededJob::Position(needed) if needed >= position => Some(needed),
        NeededJob::Position(_) | NeededJob::Job(_) => None,
    });
    match later {
        Some(needed) => {
            Err(Rejection::invalid(format!("it needs jobs[{needed}], which does not come before it"))
                .hint("list jobs after those that they need"))
        }
        None => Ok(()),
    }
}

fn invalid_name(error: impl std::fmt::Display) -> Rejection {
    Rejection::invalid(error).hint("choose a name such as `train-2`, or leave it out")
}

fn invalid_plan(error: &serde_json::Error) -> Rejection {
    Rejection::invalid(format!("invalid plan: {error}"))
        .hint("a plan is an object with `factors`, each with `columns` of the same number of values")
}

/// The rejection of a blueprint that can't be used.
fn unusable(error: UnusableBlueprint) -> Rejection {
    match error {
        UnusableBlueprint::Invalid(error) => Rejection::invalid(error),
        UnusableBlueprint::TooLarge(_) => {
            Rejection::invalid(error).hint("pass large values in a file, as an attachment")
        }
        UnusableBlueprint::Task { index, why } => why.about(format_args!("task {index}")),
        UnusableBlueprint::Json(_) | UnusableBlueprint::Panicked(_) => {
            Rejection::new(ErrorCode::Internal, error.to_string())
        }
    }
}

/// Like [`unusable`]; the only task of a job needs no index.
fn of_task(error: UnusableBlueprint, size: u64) -> Rejection {
    match error {
        UnusableBlueprint::Task { why, .. } if size == 1 => why,
        error => unusable(error),
    }
}
