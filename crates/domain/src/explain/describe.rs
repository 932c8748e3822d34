//! The text of each reason.

use std::time::Duration;

use mitosis_protocol::explain::{Explanation, ReasonCode, ReasonFacts};
use mitosis_protocol::{
    Epoch, ExecState, ResourceRequest, TaskResultMessage, TaskState, Termination, Timestamp, Uuid,
    WarningCode, duration,
};

use super::facts::{Ahead, AtLimit, Nearest, Standing};
use super::placement::{NearestOffer, NextWorker, describe_request, joined};
use super::{Facts, Moment, Reason};
use crate::limits::TOO_MUCH_OUTPUT;
use crate::tags::TagSet;
use crate::task::{Attempt, Ending, ExecEnd, Phase};

/// What is said about one reason.
struct Description {
    code: ReasonCode,
    text: String,
    hint: Option<String>,
    facts: ReasonFacts,
}

/// Explains the state of a task.
pub fn explain(facts: &Facts, moment: &Moment) -> Explanation {
    let described = Reason::of(facts, moment).describe(moment.now).on_host(facts.host.as_deref());
    let Description { code, text, hint, facts: about } = described;
    Explanation { uuid: facts.uuid, state: facts.standing.state(), code, text, hint, facts: about }
}

impl Standing {
    /// The state as the contract names it.
    fn state(&self) -> TaskState {
        match self {
            Self::Pending { .. } | Self::Blocked { .. } => TaskState::Pending,
            Self::OnHold { .. } | Self::AtLimit(_) | Self::Ready { .. } => TaskState::Ready,
            Self::Held { attempt, reported: None, .. } => Phase::Running(*attempt).state(),
            Self::Held { attempt, reported: Some(end), .. } => Phase::Reported(*attempt, *end).state(),
            Self::Ended(ending) => ending.end.state(),
        }
    }
}

impl Reason {
    fn describe(self, now: Timestamp) -> Description {
        match self {
            Self::WaitsForUpstream { upstream, state } => waits_for_upstream(upstream, state),
            Self::WaitsForTask { job, index } => waits_for_task(job, index),
            Self::NoWorker { group } => no_worker(&group),
            Self::RoleMissing { group, workers } => role_missing(&group, workers),
            Self::TagsMissing { group, tags, workers, nearest } => {
                tags_missing(&group, &tags, workers, nearest)
            }
            Self::WorkersDraining { workers } => workers_draining(workers),
            Self::CoordinatorJustStarted { started_at, until, holder, workers } => {
                coordinator_just_started(started_at, until, holder, workers, now)
            }
            Self::WorkersSilent { workers, heard_at, until } => workers_silent(workers, heard_at, until, now),
            Self::JobPaused { job } => job_paused(job),
            Self::JobAtLimit { job, most } => job_at_limit(job, most),
            Self::LimitReached(at_limit) => limit_reached(at_limit),
            Self::RetryNotDue { job, due } => retry_not_due(job, due, now),
            Self::ResourcesMissing { group, request, workers, nearest } => {
                resources_missing(&group, &request, workers, nearest.as_ref())
            }
            Self::ResourcesBusy { request, next } => resources_busy(&request, next),
            Self::AllBusy { workers, group, ahead } => all_busy(workers, &group, ahead),
            Self::NextInTurn { free, group, ahead } => next_in_turn(free, &group, ahead),
            Self::WaitsForWatched { worker, watched, target, state } => {
                waits_for_watched(worker, watched, target, state)
            }
            Self::WorkerLost { worker, heard_at, until } => worker_lost(worker, heard_at, until, now),
            Self::Running { attempt, heard_at, draining } => running(attempt, heard_at, draining, now),
            Self::Storing { attempt, end } => storing(attempt, end),
            Self::Ended(ending) => ended(&ending, now),
        }
    }
}

fn waits_for_upstream(upstream: Uuid, state: TaskState) -> Description {
    Description::new(
        ReasonCode::WaitsForUpstream,
        format!(
            "It waits for task {upstream}, which submits it and is {state:?}. It becomes Ready when that task is \
             committed."
        ),
    )
    .hint(explain_hint(upstream))
    .facts(ReasonFacts { task: Some(upstream), ..ReasonFacts::default() })
}

fn waits_for_task(job: i64, index: u64) -> Description {
    let task = format!("{job}/{index}");
    Description::new(ReasonCode::WaitsForTask, format!("It waits for task {task} to succeed."))
        .hint(format!("`mito show {task}` shows its status"))
        .facts(ReasonFacts { needed_task: Some(task), ..ReasonFacts::default() })
}

fn no_worker(group: &str) -> Description {
    Description::new(ReasonCode::NoWorker, format!("No worker serves the group `{group}`."))
        .hint(format!(
            "start one with `mito worker --groups {group}`, or let a running one serve the group with `mito client \
             workers update-roles UUID {group}:write`"
        ))
        .facts(ReasonFacts { workers: Some(0), ..ReasonFacts::default() })
}

fn role_missing(group: &str, workers: u64) -> Description {
    Description::new(
        ReasonCode::RoleMissing,
        format!(
            "{} the group `{group}`, but only with the role Read; a worker runs tasks of groups that have Write or \
             Admin on it.",
            Plural(workers).worker("lists", "list")
        ),
    )
    .hint(format!("`mito client workers update-roles UUID {group}:write` grants the role"))
    .facts(ReasonFacts { workers: Some(workers), ..ReasonFacts::default() })
}

fn tags_missing(group: &str, tags: &TagSet, workers: u64, nearest: Option<Nearest>) -> Description {
    let closest = match &nearest {
        Some(Nearest { worker, missing }) => {
            format!(" The closest is {worker}, which lacks {}.", quoted(missing))
        }
        None => String::new(),
    };
    let text = format!(
        "{} the group `{group}`, but none has all of the tags {}.{closest}",
        Plural(workers).worker("serves", "serve"),
        quoted(tags),
    );
    let facts = ReasonFacts {
        workers: Some(workers),
        worker: nearest.as_ref().map(|nearest| nearest.worker),
        missing_tags: nearest.map(|nearest| nearest.missing.to_vec()).unwrap_or_default(),
        ..ReasonFacts::default()
    };
    Description::new(ReasonCode::TagsMissing, text)
        .hint(
            "start a worker with these tags, add them to one with `mito client workers update-tags`, or remove them \
             from the task with `mito client tasks change`",
        )
        .facts(facts)
}

fn workers_draining(workers: u64) -> Description {
    let plural = Plural(workers);
    Description::new(
        ReasonCode::WorkersDraining,
        format!(
            "{} run it, but {} draining and {} no new tasks.",
            plural.worker("could", "could"),
            plural.either("is", "all are"),
            plural.either("takes", "take"),
        ),
    )
    .hint("start another worker for the group")
    .facts(ReasonFacts { workers: Some(workers), ..ReasonFacts::default() })
}

fn coordinator_just_started(
    started_at: Timestamp,
    until: Timestamp,
    holder: Option<Uuid>,
    workers: u64,
    now: Timestamp,
) -> Description {
    let silent = match holder {
        Some(worker) => format!("worker {worker}, which runs the task, has"),
        None => Plural(workers).worker("that could run it has", "that could run it have"),
    };
    Description::new(
        ReasonCode::CoordinatorJustStarted,
        format!(
            "The coordinator started {} ago, and {silent} not sent a heartbeat since. There is time until {until} ({} \
             from now).",
            span(now, started_at),
            span(until, now),
        ),
    )
    .hint("no action needed; check the workers if this does not change in a minute or two")
    .facts(ReasonFacts {
        worker: holder,
        workers: Some(workers),
        since: Some(started_at),
        until: Some(until),
        ..ReasonFacts::default()
    })
}

fn workers_silent(
    workers: u64,
    heard_at: Option<Timestamp>,
    until: Timestamp,
    now: Timestamp,
) -> Description {
    let plural = Plural(workers);
    Description::new(
        ReasonCode::WorkersSilent,
        format!(
            "{} free to run it, but {} not sent a heartbeat{}. Without one, {} considered lost at {until} ({} from \
             now).",
            plural.worker("is", "are"),
            plural.either("has", "have"),
            heard_at.map(|heard_at| format!(" for {}", span(now, heard_at))).unwrap_or_default(),
            plural.either("it is", "the last is"),
            span(until, now),
        ),
    )
    .hint("check that the workers run and reach the coordinator, or start another one")
    .facts(ReasonFacts {
        workers: Some(workers),
        since: heard_at,
        until: Some(until),
        ..ReasonFacts::default()
    })
}

fn all_busy(workers: u64, group: &str, ahead: Ahead) -> Description {
    let plural = Plural(workers);
    Description::new(
        ReasonCode::AllBusy,
        format!(
            "{} busy. {}",
            plural.worker("that could run it is", "that could run it are all"),
            position(group, ahead)
        ),
    )
    .hint("wait, start more workers, or raise its priority with `mito client tasks change --priority`")
    .facts(ReasonFacts { workers: Some(workers), ahead: Some(ahead.number()), ..ReasonFacts::default() })
}

/// Why no worker could ever run tasks with a request, as a sentence.
pub fn resources_text(
    group: &str,
    request: &ResourceRequest,
    workers: u64,
    nearest: Option<&NearestOffer>,
) -> String {
    let closest = match nearest {
        Some(NearestOffer { worker, host, lacks }) => {
            format!(" The closest is {}, which has {}.", named(*worker, host.as_deref()), joined(lacks))
        }
        None => String::new(),
    };
    format!(
        "{} the group `{group}` with all tags of the task, but none offers what it requests: {}.{closest}",
        Plural(workers).worker("serves", "serve"),
        describe_request(request),
    )
}

fn resources_missing(
    group: &str,
    request: &ResourceRequest,
    workers: u64,
    nearest: Option<&NearestOffer>,
) -> Description {
    let text = resources_text(group, request, workers, nearest);
    let facts = ReasonFacts {
        workers: Some(workers),
        worker: nearest.map(|nearest| nearest.worker),
        host: nearest.and_then(|nearest| nearest.host.clone()),
        missing_resources: nearest
            .into_iter()
            .flat_map(|nearest| &nearest.lacks)
            .map(ToString::to_string)
            .collect(),
        ..ReasonFacts::default()
    };
    Description::new(ReasonCode::ResourcesMissing, text)
        .hint("start a worker that offers this (`mito worker --cpus N --memory SIZE --gpus N`), or submit the task with a smaller request")
        .facts(facts)
}

fn resources_busy(request: &ResourceRequest, next: NextWorker) -> Description {
    let NextWorker { worker, host, lacks, ends, is_reserved } = next;
    let name = named(worker, host.as_deref());
    let requested = describe_request(request);
    let tasks = if ends == 1 { "1 task ends".to_owned() } else { format!("{ends} tasks end") };
    let when = match (ends, is_reserved) {
        (0, _) => format!("{name} keeps what is free for a larger task that has waited longer"),
        (_, false) => format!("{name} will have them when {tasks}"),
        (_, true) => format!("{name} will have them when {tasks}, and is kept free for it"),
    };
    let text = format!("It waits for {requested} on one worker; {when}. Now it has {}.", joined(&lacks));
    let facts = ReasonFacts {
        worker: Some(worker),
        host,
        ends: Some(ends),
        missing_resources: lacks.iter().map(ToString::to_string).collect(),
        ..ReasonFacts::default()
    };
    Description::new(ReasonCode::ResourcesBusy, text).facts(facts)
}

/// A worker by its host name, or by its UUID.
fn named(worker: Uuid, host: Option<&str>) -> String {
    host.map_or_else(|| worker.to_string(), str::to_owned)
}

fn job_paused(job: i64) -> Description {
    Description::new(ReasonCode::JobPaused, format!("Job {job} is paused."))
        .hint(format!("`mito resume {job}` resumes it"))
        .facts(ReasonFacts { job: Some(job), ..ReasonFacts::default() })
}

fn job_at_limit(job: i64, most: u64) -> Description {
    let tasks = if most == 1 { "task" } else { "tasks" };
    Description::new(
        ReasonCode::JobAtLimit,
        format!(
            "At most {most} {tasks} of job {job} may run at the same time. It starts when one of them ends."
        ),
    )
    .facts(ReasonFacts { job: Some(job), ..ReasonFacts::default() })
}

/// The number of jobs that the text names.
const NAMED_JOBS: usize = 10;

fn limit_reached(AtLimit { limit, uses, is_removed }: AtLimit) -> Description {
    let name = &limit.name;
    let (text, hint) = if is_removed {
        let text = format!("The limit `{name}`, which the task uses, was removed.");
        (text, Some(format!("an Admin of the group can set it again: `mito limits set {name} N`")))
    } else if uses > limit.value {
        let text = format!("The task uses {uses} of limit `{name}`, which is {}.", limit.value);
        (text, Some(format!("an Admin of the group can raise it: `mito limits set {name} {uses}`")))
    } else {
        let needs = if uses == 1 { String::new() } else { format!(" The task needs {uses}.") };
        let (used, value) = (limit.in_use, limit.value);
        (
            format!("It waits for limit `{name}`: {used} of {value} in use{}.{needs}", by_jobs(&limit.jobs)),
            None,
        )
    };
    let description = Description::new(ReasonCode::LimitReached, text)
        .facts(ReasonFacts { limit: Some(limit), ..ReasonFacts::default() });
    match hint {
        Some(hint) => description.hint(hint),
        None => description,
    }
}

/// The jobs in the form ` by jobs 12, 14`.
fn by_jobs(jobs: &[i64]) -> String {
    let named: Vec<String> = jobs.iter().take(NAMED_JOBS).map(ToString::to_string).collect();
    match (named.len(), jobs.len() - named.len()) {
        (0, _) => String::new(),
        (1, _) => format!(" by job {}", named[0]),
        (_, 0) => format!(" by jobs {}", named.join(", ")),
        (_, more) => format!(" by jobs {} and {more} more", named.join(", ")),
    }
}

fn retry_not_due(job: i64, due: Timestamp, now: Timestamp) -> Description {
    let text = match due.since(now) {
        Duration::ZERO => "The last attempt failed. The next one is due now.".to_owned(),
        wait => format!("The last attempt failed. The next one is due in {}.", duration::span(wait)),
    };
    Description::new(ReasonCode::RetryNotDue, text).facts(ReasonFacts {
        job: Some(job),
        until: Some(due),
        ..ReasonFacts::default()
    })
}

fn next_in_turn(free: u64, group: &str, ahead: Ahead) -> Description {
    let plural = Plural(free);
    Description::new(
        ReasonCode::NextInTurn,
        format!(
            "{} free to run it, and {} tasks at the next request: native workers immediately, legacy workers (0.6) at \
             their polling interval. {}",
            plural.worker("is", "are"),
            plural.either("gets", "get"),
            position(group, ahead)
        ),
    )
    .facts(ReasonFacts { workers: Some(free), ahead: Some(ahead.number()), ..ReasonFacts::default() })
}

fn waits_for_watched(
    worker: Uuid,
    watched: Uuid,
    target: ExecState,
    state: Option<TaskState>,
) -> Description {
    let rest = match state {
        None => "which does not exist, or is in none of your groups".to_owned(),
        Some(state @ (TaskState::Finished | TaskState::Cancelled)) => {
            format!("which is {state:?} without having reached it")
        }
        Some(state) => format!("which is {state:?}"),
    };
    let hint = match state {
        None | Some(TaskState::Finished | TaskState::Cancelled) => {
            "the task ends when it has waited for as long as its timeout".to_owned()
        }
        Some(_) => explain_hint(watched),
    };
    Description::new(
        ReasonCode::WaitsForWatched,
        format!("Worker {worker} holds it until {target:?} is reached by task {watched}, {rest}."),
    )
    .hint(hint)
    .facts(ReasonFacts { task: Some(watched), worker: Some(worker), ..ReasonFacts::default() })
}

fn worker_lost(worker: Uuid, heard_at: Timestamp, until: Timestamp, now: Timestamp) -> Description {
    Description::new(
        ReasonCode::WorkerLost,
        format!(
            "Worker {worker} runs it, but has not sent a heartbeat for {}. Its lease ends at {until} ({} from now); \
             then the task is requeued.",
            span(now, heard_at),
            span(until, now),
        ),
    )
    .hint(format!(
        "if the worker is gone, `mito client workers cancel {worker} --force` requeues the task immediately"
    ))
    .facts(ReasonFacts {
        worker: Some(worker),
        since: Some(heard_at),
        until: Some(until),
        ..ReasonFacts::default()
    })
}

fn running(attempt: Attempt, heard_at: Timestamp, draining: bool, now: Timestamp) -> Description {
    let Attempt { worker, epoch, claimed_at } = attempt;
    let attempt_number = if epoch > Epoch::FIRST { format!(", attempt {epoch}") } else { String::new() };
    Description::new(
        ReasonCode::Running,
        format!(
            "It has been running on worker {worker} for {} (since {claimed_at}){attempt_number}. The worker's last \
             heartbeat was {} ago{}.",
            span(now, claimed_at),
            span(now, heard_at),
            if draining { "; it exits after this task" } else { "" },
        ),
    )
    .facts(ReasonFacts { worker: Some(worker), since: Some(claimed_at), ..ReasonFacts::default() })
}

fn storing(attempt: Attempt, end: ExecEnd) -> Description {
    let how = match end {
        ExecEnd::Finished => "ended",
        ExecEnd::Cancelled => "been stopped",
    };
    Description::new(
        ReasonCode::Storing,
        format!("Its command has {how}; worker {} is uploading its output.", attempt.worker),
    )
    .facts(ReasonFacts {
        worker: Some(attempt.worker),
        since: Some(attempt.claimed_at),
        ..ReasonFacts::default()
    })
}

fn ended(ending: &Ending, now: Timestamp) -> Description {
    let how = match ending.result.exit_status.termination() {
        Termination::Exited(code) => format!("with exit code {code}"),
        Termination::Signalled(signal) => format!("by signal {signal}"),
    };
    let what = match (ending.result.msg, ending.end) {
        (Some(TaskResultMessage::UserCancellation), _) => "It was cancelled by a user".to_owned(),
        (Some(msg @ TaskResultMessage::DependencyFailed), _) => match failed_dependency(ending) {
            Some(text) => format!("It was cancelled: {text}"),
            None => format!("It was cancelled: {}", cause(msg)),
        },
        // It has not ended by itself, so there is no exit code.
        (
            Some(
                msg @ (TaskResultMessage::WorkersLost
                | TaskResultMessage::DirectoryUnavailable
                | TaskResultMessage::SpawnFailed),
            ),
            _,
        ) => {
            format!("It was cancelled: {}", cause(msg))
        }
        (Some(msg), ExecEnd::Finished) => format!("It ended {how}, but {}", cause(msg)),
        (Some(msg), _) => format!("It was stopped {how}: {}", cause(msg)),
        (None, ExecEnd::Finished) => format!("It ended {how}"),
        // The protocol has a message for every other reason to stop a command.
        (None, ExecEnd::Cancelled) => format!("It was stopped {how} {TOO_MUCH_OUTPUT}"),
    };
    let by = ending.reporter.map(|worker| format!(" on worker {worker}")).unwrap_or_default();
    let warnings = ending.warnings.iter().filter(|warning| warning.code != WarningCode::DependencyFailed);
    let warnings: Vec<String> = warnings.map(|warning| format!(" Warning: {warning}.")).collect();
    let text = format!("{what}{by}, {} ago (at {}).{}", span(now, ending.at), ending.at, warnings.concat());
    Description::new(ReasonCode::Ended, text).facts(ReasonFacts {
        worker: ending.reporter,
        since: Some(ending.at),
        ..ReasonFacts::default()
    })
}

impl Description {
    fn new(code: ReasonCode, text: String) -> Self {
        Self { code, text, hint: None, facts: ReasonFacts::default() }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn facts(self, facts: ReasonFacts) -> Self {
        Self { facts, ..self }
    }

    /// Adds the host name of the worker.
    fn on_host(self, host: Option<&str>) -> Self {
        let (Some(host), Some(worker)) = (host, self.facts.worker) else { return self };
        let text = self.text.replacen(&worker.to_string(), &format!("{worker} ({host})"), 1);
        Self { text, facts: ReasonFacts { host: Some(host.to_owned()), ..self.facts }, ..self }
    }
}

/// The sentence that names the task that did not succeed.
fn failed_dependency(ending: &Ending) -> Option<&str> {
    let mut warnings = ending.warnings.iter();
    let failed = warnings.find(|warning| warning.code == WarningCode::DependencyFailed)?;
    Some(&failed.text)
}

/// Why a task ended as it did.
fn cause(msg: TaskResultMessage) -> &'static str {
    match msg {
        TaskResultMessage::FetchResourceTimeout => "downloading its resources took too long",
        TaskResultMessage::ExecTimeout => "the command exceeded its timeout",
        TaskResultMessage::UploadResultTimeout => "not all of its output could be stored",
        TaskResultMessage::ResourceNotFound => "a resource does not exist",
        TaskResultMessage::ResourceForbidden => "access to a resource was denied",
        TaskResultMessage::WatchTimeout => "the watched task did not reach the state in time",
        TaskResultMessage::UserCancellation => "a user cancelled it",
        TaskResultMessage::WorkersLost => "its worker was lost in five attempts",
        TaskResultMessage::DirectoryUnavailable => "its worker can't use the directory that it requires",
        TaskResultMessage::DependencyFailed => "a task that it needs did not succeed",
        TaskResultMessage::OutOfMemory => "it used more memory than it may",
        TaskResultMessage::OutputLimit => "it wrote more output than its worker keeps",
        TaskResultMessage::SpawnFailed => "its command can't be started",
        TaskResultMessage::SubmitNewTaskFailed => "its follow-up task could not be submitted",
    }
}

fn position(group: &str, ahead: Ahead) -> String {
    match ahead.number() {
        0 => format!("It is first in the queue of `{group}` for these tags."),
        1 => format!("One task of `{group}` with the same tags is ahead of it."),
        number if number > Ahead::COUNTED => {
            format!("More than {} tasks of `{group}` with the same tags are ahead of it.", Ahead::COUNTED)
        }
        number => format!("{number} tasks of `{group}` with the same tags are ahead of it."),
    }
}

fn explain_hint(task: Uuid) -> String {
    format!("`mito client tasks explain {task}` shows its status")
}

/// TagSet that depend on a number.
#[derive(Clone, Copy)]
struct Plural(u64);

impl Plural {
    fn either(self, one: &'static str, many: &'static str) -> &'static str {
        if self.0 == 1 { one } else { many }
    }

    /// `1 worker is`, `3 workers are`.
    fn worker(self, one: &'static str, many: &'static str) -> String {
        format!("{} {} {}", self.0, self.either("worker", "workers"), self.either(one, many))
    }
}

fn quoted(tags: &TagSet) -> String {
    tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", ")
}

/// The time between two moments, in its two largest units.
fn span(later: Timestamp, earlier: Timestamp) -> String {
    duration::span(Duration::from_secs(later.since(earlier).as_secs()))
}
