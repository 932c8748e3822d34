//! Describes each reason in words.

use std::time::Duration;

use mitosis_protocol::explain::{Explanation, ReasonCode, ReasonFacts};
use mitosis_protocol::{TaskResultMessage, TaskState, Timestamp, duration};

use super::facts::{Ahead, Nearest, Standing};
use super::{Facts, Moment, Reason};
use crate::limits::TOO_MUCH_OUTPUT;
use crate::tags::Words;
use crate::task::{Ending, ExecEnd, Phase};
use crate::wait_status::WaitStatus;

/// The description of one reason.
struct Description {
    code: ReasonCode,
    text: String,
    hint: Option<String>,
    facts: ReasonFacts,
}

/// Explains why a task is in its state.
pub fn explain(facts: &Facts, moment: &Moment) -> Explanation {
    let Description { code, text, hint, facts: about } = Reason::of(facts, moment).describe(moment.now);
    Explanation { uuid: facts.uuid, state: facts.standing.state(), code, text, hint, facts: about }
}

impl Standing {
    /// The state as the contract names it.
    fn state(&self) -> TaskState {
        match self {
            Self::Pending { .. } => TaskState::Pending,
            Self::Ready { .. } => TaskState::Ready,
            Self::Held { attempt, reported: None, .. } => Phase::Running(*attempt).state(),
            Self::Held { attempt, reported: Some(end), .. } => Phase::Reported(*attempt, *end).state(),
            Self::Ended(ending) => ending.end.state(),
        }
    }
}

impl Reason {
    #[expect(clippy::too_many_lines, reason = "one case after another, each of them short")]
    fn describe(self, now: Timestamp) -> Description {
        match self {
            Self::WaitsForUpstream { upstream, state } => description(
                ReasonCode::WaitsForUpstream,
                format!(
                    "It waits for task {upstream}, which asked for it and is {state:?}. It becomes Ready when \
                     that task is committed."
                ),
            )
            .hint(format!("`mito client tasks explain {upstream}` tells how that one gets on"))
            .facts(ReasonFacts { task: Some(upstream), ..ReasonFacts::default() }),

            Self::NoWorker { group } => {
                description(ReasonCode::NoWorker, format!("No worker serves the group `{group}`."))
                    .hint(format!(
                        "start one with `mito worker --groups {group}`, or let a running one serve the group \
                         with `mito client workers update-roles UUID {group}:write`"
                    ))
                    .facts(ReasonFacts { workers: Some(0), ..ReasonFacts::default() })
            }

            Self::RoleMissing { group, workers } => description(
                ReasonCode::RoleMissing,
                format!(
                    "{} the group `{group}`, but with the role Read only, and a worker runs tasks of groups \
                     that have Write or Admin on it.",
                    counted(workers, "worker lists", "workers list")
                ),
            )
            .hint(format!("`mito client workers update-roles UUID {group}:write` gives the role"))
            .facts(ReasonFacts { workers: Some(workers), ..ReasonFacts::default() }),

            Self::TagsMissing { group, tags, workers, nearest } => {
                let text = format!(
                    "{} the group `{group}`, but none has all of the tags {}.{}",
                    counted(workers, "worker serves", "workers serve"),
                    quoted(&tags),
                    match &nearest {
                        Some(Nearest { worker, missing }) => {
                            format!(" The nearest is {worker}, which lacks {}.", quoted(missing))
                        }
                        None => String::new(),
                    }
                );
                let facts = ReasonFacts {
                    workers: Some(workers),
                    worker: nearest.as_ref().map(|nearest| nearest.worker),
                    missing_tags: nearest.map(|nearest| nearest.missing.to_vec()).unwrap_or_default(),
                    ..ReasonFacts::default()
                };
                description(ReasonCode::TagsMissing, text)
                    .hint(
                        "start a worker with these tags, give them to one with `mito client workers \
                         update-tags`, or take them off the task with `mito client tasks change`",
                    )
                    .facts(facts)
            }

            Self::WorkersDraining { workers } => description(
                ReasonCode::WorkersDraining,
                format!(
                    "{} run it, but {} after the present task and {} no other.",
                    counted(workers, "worker could", "workers could"),
                    if workers == 1 { "stops" } else { "all stop" },
                    if workers == 1 { "takes" } else { "take" },
                ),
            )
            .hint("start another worker for the group")
            .facts(ReasonFacts { workers: Some(workers), ..ReasonFacts::default() }),

            Self::CoordinatorJustStarted { started_at, until, holder, workers } => description(
                ReasonCode::CoordinatorJustStarted,
                format!(
                    "The coordinator started {} ago, and {} not been heard from since. There is time until \
                     {until} ({} from now).",
                    span(now, started_at),
                    match holder {
                        Some(worker) => format!("worker {worker}, which has the task, has"),
                        None => counted(workers, "worker that could run it has", "workers that could run it have"),
                    },
                    span(until, now),
                ),
            )
            .hint("nothing needs to be done; check the workers if this is still so in a minute or two")
            .facts(ReasonFacts {
                worker: holder,
                workers: Some(workers),
                since: Some(started_at),
                until: Some(until),
                ..ReasonFacts::default()
            }),

            Self::WorkersSilent { workers, heard_at, until } => description(
                ReasonCode::WorkersSilent,
                format!(
                    "{} free to run it, but {} not given a sign of life{}. Without one, {} taken for lost at \
                     {until} ({} from now).",
                    counted(workers, "worker is", "workers are"),
                    if workers == 1 { "has" } else { "have" },
                    heard_at.map(|heard_at| format!(" for {}", span(now, heard_at))).unwrap_or_default(),
                    if workers == 1 { "it is" } else { "the last is" },
                    span(until, now),
                ),
            )
            .hint("check that the workers run and reach the coordinator, or start another one")
            .facts(ReasonFacts {
                workers: Some(workers),
                since: heard_at,
                until: Some(until),
                ..ReasonFacts::default()
            }),

            Self::AllBusy { workers, group, ahead } => description(
                ReasonCode::AllBusy,
                format!(
                    "{} it could run on {} at work. {}",
                    counted(workers, "worker that", "workers that"),
                    if workers == 1 { "is" } else { "are all" },
                    line(&group, ahead)
                ),
            )
            .hint("wait, start more workers, or raise its priority with `mito client tasks change --priority`")
            .facts(ReasonFacts {
                workers: Some(workers),
                ahead: Some(ahead.number()),
                ..ReasonFacts::default()
            }),

            Self::NextInTurn { free, group, ahead } => description(
                ReasonCode::NextInTurn,
                format!(
                    "{} free to run it, and {} tasks when asking next: workers of ours at once, workers of \
                     earlier versions at their polling interval. {}",
                    counted(free, "worker is", "workers are"),
                    if free == 1 { "gets" } else { "get" },
                    line(&group, ahead)
                ),
            )
            .facts(ReasonFacts { workers: Some(free), ahead: Some(ahead.number()), ..ReasonFacts::default() }),

            Self::WaitsForWatched { worker, watched, target, state } => {
                let text = format!("Worker {worker} has it and waits until task {watched} has come to {target:?}");
                let (rest, hint) = match state {
                    None => ("; that one does not exist, or is in none of your groups".to_owned(), None),
                    Some(state @ (TaskState::Finished | TaskState::Cancelled)) => {
                        (format!("; that one is {state:?} and has not come so far"), None)
                    }
                    Some(state) => (
                        format!("; that one is {state:?}"),
                        Some(format!("`mito client tasks explain {watched}` tells how that one gets on")),
                    ),
                };
                let hint = hint.unwrap_or_else(|| {
                    "it ends by itself when it has waited for as long as its timeout".to_owned()
                });
                description(ReasonCode::WaitsForWatched, format!("{text}{rest}.")).hint(hint).facts(ReasonFacts {
                    task: Some(watched),
                    worker: Some(worker),
                    ..ReasonFacts::default()
                })
            }

            Self::WorkerLost { worker, heard_at, until } => description(
                ReasonCode::WorkerLost,
                format!(
                    "Worker {worker} has it, but has not given a sign of life for {}. Its lease ends at \
                     {until} ({} from now); then the task goes to another worker.",
                    span(now, heard_at),
                    span(until, now),
                ),
            )
            .hint(format!(
                "if you know that the worker is gone, `mito client workers cancel {worker} --force` frees the \
                 task at once"
            ))
            .facts(ReasonFacts {
                worker: Some(worker),
                since: Some(heard_at),
                until: Some(until),
                ..ReasonFacts::default()
            }),

            Self::Running { attempt, heard_at, draining } => description(
                ReasonCode::Running,
                format!(
                    "Worker {} has been at work on it for {} (since {}){}. The worker was heard {} ago{}.",
                    attempt.worker,
                    span(now, attempt.claimed_at),
                    attempt.claimed_at,
                    if attempt.epoch > 1 { format!(", as attempt {}", attempt.epoch) } else { String::new() },
                    span(now, heard_at),
                    if draining { " and stops after it" } else { "" },
                ),
            )
            .facts(ReasonFacts {
                worker: Some(attempt.worker),
                since: Some(attempt.claimed_at),
                ..ReasonFacts::default()
            }),

            Self::Storing { attempt, end } => description(
                ReasonCode::Storing,
                format!(
                    "Its command has {}; worker {} is storing what it left behind.",
                    match end {
                        ExecEnd::Finished => "ended",
                        ExecEnd::Cancelled => "been stopped",
                    },
                    attempt.worker
                ),
            )
            .facts(ReasonFacts {
                worker: Some(attempt.worker),
                since: Some(attempt.claimed_at),
                ..ReasonFacts::default()
            }),

            Self::Ended(ending) => description(ReasonCode::Ended, outcome(&ending, now)).facts(ReasonFacts {
                worker: ending.reporter,
                since: Some(ending.at),
                ..ReasonFacts::default()
            }),
        }
    }
}

fn description(code: ReasonCode, text: String) -> Description {
    Description { code, text, hint: None, facts: ReasonFacts::default() }
}

impl Description {
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn facts(self, facts: ReasonFacts) -> Self {
        Self { facts, ..self }
    }
}

fn outcome(ending: &Ending, now: Timestamp) -> String {
    let how = match WaitStatus::from_raw(ending.result.exit_status) {
        WaitStatus::Exited(code) => format!("with exit code {code}"),
        WaitStatus::Signalled(signal) => format!("by signal {signal}"),
    };
    let what = match (ending.result.msg, ending.end) {
        (Some(TaskResultMessage::UserCancellation), _) => "It was cancelled by a user".to_owned(),
        (Some(msg), ExecEnd::Finished) => format!("It has ended {how}, but {}", cause(msg)),
        (Some(msg), _) => format!("It was stopped {how}: {}", cause(msg)),
        (None, ExecEnd::Finished) => format!("It has ended {how}"),
        // The protocol has a message for every other reason to stop a command.
        (None, ExecEnd::Cancelled) => {
            format!("It was stopped {how} {TOO_MUCH_OUTPUT}")
        }
    };
    let by = ending.reporter.map(|worker| format!(" on worker {worker}")).unwrap_or_default();
    let warnings: Vec<String> =
        ending.warnings.iter().map(|warning| format!(" Warning: {warning}.")).collect();
    format!("{what}{by}, {} ago (at {}).{}", span(now, ending.at), ending.at, warnings.concat())
}

/// Describes why a task was stopped.
fn cause(msg: TaskResultMessage) -> &'static str {
    match msg {
        TaskResultMessage::FetchResourceTimeout => "fetching its files took too long",
        TaskResultMessage::ExecTimeout => "the command took longer than its timeout",
        TaskResultMessage::UploadResultTimeout => "not everything that it left could be stored",
        TaskResultMessage::ResourceNotFound => "a file that it needs does not exist",
        TaskResultMessage::ResourceForbidden => "a file that it needs may not be read",
        TaskResultMessage::WatchTimeout => "the task that it watched did not come so far in time",
        TaskResultMessage::UserCancellation => "a user cancelled it",
        TaskResultMessage::WorkersLost => {
            "it lost too many workers: five of its attempts ended with their worker"
        }
        TaskResultMessage::SubmitNewTaskFailed => "the task that it asked for could not be submitted",
    }
}

fn line(group: &str, ahead: Ahead) -> String {
    match ahead.number() {
        0 => format!("It is the first in line among the tasks of `{group}` with the same tags."),
        1 => format!("One task of `{group}` with the same tags goes first."),
        number if number > Ahead::COUNTED => {
            format!("More than {} tasks of `{group}` with the same tags go first.", Ahead::COUNTED)
        }
        number => format!("{number} tasks of `{group}` with the same tags go first."),
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn quoted(words: &Words) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The time between two moments, in its two largest units.
fn span(later: Timestamp, earlier: Timestamp) -> String {
    duration::span(Duration::from_secs(later.since(earlier).as_secs()))
}
