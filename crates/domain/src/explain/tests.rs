//! Tests of the reasons and their descriptions.

use std::time::Duration;

use mitosis_protocol::explain::{Explanation, ReasonCode as C};
use mitosis_protocol::limit::LimitInfo;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{
    Cpus, Epoch, ExecState, ResourceRequest, TaskResult, TaskResultMessage, TaskState, Timestamp, WaitStatus,
};
use uuid::Uuid;

use super::{
    Ahead, AtLimit, EligibleWorkers, Facts, Found, Hold, Holder, Moment, Nearest, Placed, Standing, Watched,
    explain,
};
use crate::explain::placement::{NearestOffer, NextWorker, Placement};
use crate::resources::{Lack, Resource};
use crate::tags::TagSet;
use crate::task::{Attempt, Ending, ExecEnd};

const LEASE: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);
const TASK: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const WORKER: Uuid = Uuid::from_u128(3);

fn now() -> Timestamp {
    Timestamp::parse("2031-02-09T17:04:05Z").unwrap()
}

/// A coordinator that started this long ago.
fn up_for(time: Duration) -> Moment {
    Moment { now: now(), started_at: now() - time, lease: LEASE, own_groups: ["lab".to_owned()].into() }
}

fn words(text: &str) -> TagSet {
    TagSet::new(text.split_whitespace()).unwrap()
}

fn described_at(standing: Standing, moment: &Moment) -> Explanation {
    explain(&facts(standing), moment)
}

fn facts(standing: Standing) -> Facts {
    Facts { uuid: TASK, group: "lab".into(), tags: words("eu gpu"), standing, host: None }
}

fn described(standing: Standing) -> Explanation {
    described_at(standing, &up_for(LEASE * 100))
}

#[test]
fn host_of_the_worker_is_named() {
    let running = Facts { host: Some("node-17".into()), ..facts(held(LEASE)) };
    let running = explain(&running, &up_for(LEASE * 100));
    let text = format!("It has been running on worker {WORKER} (node-17) for ");
    assert!(running.text.starts_with(&text), "{}", running.text);
    assert_eq!(running.facts.host.as_deref(), Some("node-17"));
    let waiting = Facts { host: Some("node-17".into()), ..facts(ready(EligibleWorkers::default())) };
    assert_eq!(explain(&waiting, &up_for(LEASE * 100)).facts.host, None);
}

#[test]
fn blocked_task_names_the_task_that_it_waits_for() {
    let blocked = described(Standing::Blocked { job: 12, index: 7 });
    assert_eq!((blocked.code, blocked.state), (C::WaitsForTask, TaskState::Pending));
    assert_eq!(blocked.text, "It waits for task 12/7 to succeed.");
    assert_eq!(blocked.facts.needed_task.as_deref(), Some("12/7"));
}

#[test]
fn task_on_hold_names_its_job() {
    let on_hold = |hold| described(Standing::OnHold { job: 12, hold });
    let paused = on_hold(Hold::Paused);
    assert_eq!((paused.code, paused.state, paused.facts.job), (C::JobPaused, TaskState::Ready, Some(12)));
    assert_eq!(paused.hint.as_deref(), Some("`mito resume 12` resumes it"));
    let limit = on_hold(Hold::Limit(1));
    assert_eq!(limit.code, C::JobAtLimit);
    assert!(limit.text.starts_with("At most 1 task of job 12 may run"), "{}", limit.text);
    let due = now() + MINUTE * 2;
    let retry = on_hold(Hold::Retry(due));
    assert_eq!((retry.code, retry.facts.until), (C::RetryNotDue, Some(due)));
    assert_eq!(retry.text, "The last attempt failed. The next one is due in 2m.");
    assert!(on_hold(Hold::Retry(now())).text.ends_with("is due now."));
}

fn ready(workers: EligibleWorkers) -> Standing {
    Standing::Ready { workers, ahead: Ahead::new(41), placement: None }
}

/// Two fitting workers with a heartbeat a second ago.
fn eligible() -> EligibleWorkers {
    EligibleWorkers {
        listed: 2,
        serving: 2,
        fitting: 2,
        draining: 0,
        free: 0,
        heard_at: Some(now() - Duration::from_secs(1)),
        free_heard_at: None,
        free_until: None,
        free_silent_at: None,
        nearest: None,
    }
}

fn free_until(left: Duration) -> EligibleWorkers {
    EligibleWorkers {
        free: 2,
        free_heard_at: eligible().heard_at,
        free_until: Some(now() + left),
        free_silent_at: Some(now() + left - LEASE / 3),
        ..eligible()
    }
}

fn held(left: Duration) -> Standing {
    Standing::Held {
        attempt: Attempt { worker: WORKER, epoch: Epoch::FIRST, claimed_at: now() - LEASE },
        reported: None,
        holder: Holder {
            heard_at: now() + left - LEASE,
            lease_until: now() + left,
            silent_at: now() + left - LEASE / 3,
            state: WorkerState::Normal,
        },
        watched: None,
    }
}

fn watching(group: &str, state: Option<TaskState>, result: Option<TaskResult>) -> Standing {
    let Standing::Held { attempt, reported, holder, .. } = held(LEASE) else { unreachable!("made above") };
    let found = state.map(|state| Found { group: group.to_owned(), state, result });
    let watched = Some(Watched { uuid: OTHER, target: ExecState::TaskCommitted, found });
    Standing::Held { attempt, reported, holder, watched }
}

fn ended(end: ExecEnd, exit_status: i32, msg: Option<TaskResultMessage>) -> Standing {
    let result = TaskResult { exit_status: WaitStatus(exit_status), msg };
    let warnings = Vec::new();
    Standing::Ended(Ending { end, result, warnings, reporter: Some(WORKER), at: now() - MINUTE })
}

#[test]
fn first_obstacle_is_the_reason() {
    let narrowing = [
        (EligibleWorkers::default(), C::NoWorker),
        (EligibleWorkers { listed: 2, ..EligibleWorkers::default() }, C::RoleMissing),
        (EligibleWorkers { listed: 2, serving: 2, ..EligibleWorkers::default() }, C::TagsMissing),
        (EligibleWorkers { draining: 2, ..eligible() }, C::WorkersDraining),
        (EligibleWorkers { draining: 1, ..eligible() }, C::AllBusy),
        (eligible(), C::AllBusy),
        (free_until(LEASE), C::NextInTurn),
    ];
    for (workers, code) in narrowing {
        assert_eq!(described(ready(workers.clone())).code, code, "{workers:?}");
    }
}

#[test]
fn each_text_names_its_subject() {
    let missing = EligibleWorkers {
        listed: 3,
        serving: 2,
        nearest: Some(Nearest { worker: WORKER, missing: words("gpu") }),
        ..EligibleWorkers::default()
    };
    let described = described(ready(missing));
    assert_eq!(
        described.text,
        format!(
            "2 workers serve the group `lab`, but none has all of the tags `eu`, `gpu`. The closest is \
             {WORKER}, which lacks `gpu`."
        )
    );
    assert_eq!((described.facts.worker, described.facts.workers), (Some(WORKER), Some(2)));
    assert_eq!(described.facts.missing_tags, ["gpu"]);
    assert_eq!((described.uuid, described.state), (TASK, TaskState::Ready));
}

#[test]
fn tasks_ahead_are_counted_up_to_a_limit() {
    let text =
        |ahead| described(Standing::Ready { workers: eligible(), ahead: Ahead::new(ahead), placement: None });
    assert!(text(0).text.ends_with("It is first in the queue of `lab` for these tags."));
    assert!(text(1).text.ends_with("One task of `lab` with the same tags is ahead of it."));
    assert!(text(10_000).text.ends_with("10000 tasks of `lab` with the same tags are ahead of it."));
    let far = text(1_000_000);
    assert!(far.text.ends_with("More than 10000 tasks of `lab` with the same tags are ahead of it."));
    assert_eq!(far.facts.ahead, Some(10_001));
}

#[test]
fn task_that_requests_much_names_a_worker_with_numbers() {
    let request = ResourceRequest { cpus: Cpus::whole(8), ..ResourceRequest::default() };
    let placed = |placement| Some(Placed { request: request.clone(), placement });
    let standing =
        |placement| Standing::Ready { workers: free_until(LEASE), ahead: Ahead::new(1), placement };
    let lacks = vec![Lack { resource: Resource::Cpus, requested: 8_000, available: 2_500 }];
    let host = Some("node3".to_owned());
    let nearest = NearestOffer { worker: WORKER, host: host.clone(), lacks: lacks.clone() };
    let nowhere = described(standing(placed(Placement::Nowhere { workers: 2, nearest: Some(nearest) })));
    assert_eq!(nowhere.code, C::ResourcesMissing);
    assert_eq!(
        nowhere.text,
        "2 workers serve the group `lab` with all tags of the task, but none offers what it requests: 8 cpus. The \
         closest is node3, which has 2.5 of 8 cpus."
    );
    assert_eq!((nowhere.facts.worker, nowhere.facts.host.as_deref()), (Some(WORKER), Some("node3")));
    assert_eq!(nowhere.facts.missing_resources, ["2.5 of 8 cpus"]);
    let next = NextWorker { worker: WORKER, host, lacks, ends: 2, is_reserved: false };
    let text = |next| described(standing(placed(Placement::Later(next)))).text;
    let waits = "It waits for 8 cpus on one worker; node3 will have them when 2 tasks end";
    assert_eq!(text(next.clone()), format!("{waits}. Now it has 2.5 of 8 cpus."));
    let reserved = text(NextWorker { is_reserved: true, ..next.clone() });
    assert_eq!(reserved, format!("{waits}, and is kept free for it. Now it has 2.5 of 8 cpus."));
    let later = described(standing(placed(Placement::Later(NextWorker { ends: 1, host: None, ..next }))));
    assert!(later.text.contains(&format!("; {WORKER} will have them when 1 task ends.")), "{}", later.text);
    assert_eq!((later.code, later.facts.ends), (C::ResourcesBusy, Some(1)));
    assert_eq!(described(standing(placed(Placement::Now))).code, C::NextInTurn);
}

#[test]
fn free_worker_counts_as_silent_before_its_lease_ends() {
    assert_eq!(described(ready(free_until(LEASE / 3))).code, C::NextInTurn);
    let just_less = (LEASE / 3).saturating_sub(Duration::from_micros(1));
    assert_eq!(described(ready(free_until(just_less))).code, C::WorkersSilent);
    let one_works = EligibleWorkers { free: 1, ..free_until(just_less) };
    let busy = described(ready(one_works));
    assert_eq!((busy.code, busy.facts.workers), (C::AllBusy, Some(1)), "the one that is alive is at work");
}

#[test]
fn workers_have_one_lease_to_reconnect_after_a_start() {
    let last_heard = |heard_at| {
        ready(EligibleWorkers {
            heard_at: Some(heard_at),
            free_heard_at: Some(heard_at),
            ..free_until(LEASE)
        })
    };
    let early = up_for(MINUTE);
    assert_eq!(described_at(last_heard(now() - MINUTE * 2), &early).code, C::CoordinatorJustStarted);
    assert_eq!(described_at(last_heard(now() - MINUTE), &early).code, C::NextInTurn, "it is back");
    assert_eq!(described_at(last_heard(now() - LEASE * 2), &up_for(LEASE)).code, C::NextInTurn);
    let one_is_back = EligibleWorkers { free: 1, free_heard_at: Some(now() - LEASE), ..free_until(LEASE) };
    let busy = described_at(ready(one_is_back), &early);
    assert_eq!((busy.code, busy.facts.workers), (C::AllBusy, Some(1)), "the one that is back is at work");

    let Standing::Held { attempt, reported, holder, watched } = held(LEASE) else { unreachable!() };
    let holder = Holder { heard_at: now() - MINUTE * 2, ..holder };
    let waits = described_at(Standing::Held { attempt, reported, holder, watched }, &early);
    assert_eq!((waits.code, waits.facts.worker), (C::CoordinatorJustStarted, Some(WORKER)));
    assert_eq!(waits.facts.until, Some(now() - MINUTE + LEASE));
    assert!(waits.text.contains("started 1m ago") && waits.text.contains("9m from now"), "{}", waits.text);
}

#[test]
fn exhausted_limit_is_named_with_its_users() {
    let at = |value, in_use, uses, jobs: &[i64], is_removed| {
        let limit = LimitInfo { name: "licence".into(), value, in_use, jobs: jobs.to_vec() };
        described(Standing::AtLimit(AtLimit { limit, uses, is_removed }))
    };
    let many: Vec<i64> = (1..=12).collect();
    for (described, words) in [
        (at(4, 4, 1, &[12, 14], false), "It waits for limit `licence`: 4 of 4 in use by jobs 12, 14."),
        (at(4, 3, 2, &[12], false), "3 of 4 in use by job 12. The task needs 2."),
        (at(9, 9, 1, &many, false), "in use by jobs 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more."),
        (at(2, 0, 3, &[], false), "The task uses 3 of limit `licence`, which is 2."),
        (at(0, 0, 1, &[], true), "The limit `licence`, which the task uses, was removed."),
    ] {
        assert!(described.text.contains(words), "{}", described.text);
        assert_eq!((described.code, described.state), (C::LimitReached, TaskState::Ready));
    }
}

#[test]
fn lost_worker_is_distinguished_from_a_running_one() {
    assert_eq!(described(held(LEASE / 2)).code, C::Running);
    let lost = described(held(MINUTE));
    assert_eq!((lost.code, lost.state), (C::WorkerLost, TaskState::Running));
    assert_eq!(lost.facts.until, Some(now() + MINUTE));
    assert!(lost.text.contains("a heartbeat for 9m") && lost.text.contains("1m from now"), "{}", lost.text);
    assert!(lost.hint.unwrap().contains(&format!("workers cancel {WORKER} --force")));
}

#[test]
fn watched_task_is_shown_until_the_target_state() {
    for (state, words) in [
        (Some(TaskState::Running), "which is Running"),
        (Some(TaskState::Finished), "which is Finished without having reached it"),
        (None, "which does not exist, or is in none of your groups"),
    ] {
        let waits = described(watching("lab", state, None));
        assert_eq!((waits.code, waits.facts.task), (C::WaitsForWatched, Some(OTHER)), "{state:?}");
        assert!(waits.text.contains(words), "{}", waits.text);
    }
    let result = TaskResult { exit_status: WaitStatus::SUCCESS, msg: None };
    assert_eq!(described(watching("lab", Some(TaskState::Finished), Some(result))).code, C::Running);
}

#[test]
fn watched_task_of_another_group_is_hidden() {
    assert_eq!(
        described(watching("theirs", Some(TaskState::Finished), None)),
        described(watching("lab", None, None))
    );
}

#[test]
fn ended_command_is_being_stored() {
    let Standing::Held { attempt, holder, watched, .. } = held(LEASE) else { unreachable!() };
    let storing = described(Standing::Held { attempt, reported: Some(ExecEnd::Finished), holder, watched });
    assert_eq!((storing.code, storing.state), (C::Storing, TaskState::Finished));
}

#[test]
fn follow_up_names_its_upstream() {
    let waits = described(Standing::Pending { upstream: OTHER, state: TaskState::Running });
    assert_eq!((waits.code, waits.facts.task), (C::WaitsForUpstream, Some(OTHER)));
    assert!(waits.text.contains(&OTHER.to_string()) && waits.text.contains("Running"));
}

#[test]
fn end_is_described_with_its_cause() {
    use TaskResultMessage as M;
    for (end, status, msg, words) in [
        (ExecEnd::Finished, 0, None, "It ended with exit code 0 on worker"),
        (ExecEnd::Finished, 3 << 8, None, "It ended with exit code 3"),
        (ExecEnd::Finished, 9, None, "It ended by signal 9"),
        (ExecEnd::Cancelled, 15, Some(M::ExecTimeout), "by signal 15: the command exceeded its timeout"),
        (ExecEnd::Cancelled, 15, None, "by signal 15 for writing more output than its worker keeps"),
        (ExecEnd::Cancelled, 0, Some(M::UserCancellation), "It was cancelled by a user on worker"),
        (
            ExecEnd::Cancelled,
            0,
            Some(M::WorkersLost),
            "It was cancelled: its worker was lost in five attempts on worker",
        ),
        (
            ExecEnd::Cancelled,
            0,
            Some(M::DirectoryUnavailable),
            "It was cancelled: its worker can't use the directory that it requires on worker",
        ),
    ] {
        let described = described(ended(end, status, msg));
        assert!(
            described.text.contains(words) && described.text.contains("1m ago"),
            "{words}: {}",
            described.text
        );
        assert_eq!(described.code, C::Ended);
    }
}
