//! Schedules: each due time is handled once, jobs that overlap, missed runs, rights, and the record of runs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use mitosis_domain::ids::{JobId, ScheduleId};
use mitosis_domain::schedule::{DueStep, Timetable};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::NeedKind;
use mitosis_protocol::schedule::{
    CatchUp, KEPT_RUNS, MAX_QUEUED, MAX_SCHEDULES, Overlap, RunOutcome, ScheduleRun,
};
use mitosis_protocol::{Role, Timestamp};
use mitosis_store::ops::Actor;
use mitosis_store::ops::jobs::{Job, JobRemoval, JobTasks, NewJob};
use mitosis_store::ops::schedules::{
    DueAction, DueOutcome, NewSchedule, RequestedRun, Schedule, ScheduleCreation, ScheduleQuery,
    ScheduleSettings, ScheduleUpdate,
};

use super::jobs;
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, Person, SECOND};

const MINUTE: Duration = Duration::from_mins(1);

fn settings(overlap: Overlap, catch_up: CatchUp) -> ScheduleSettings {
    let (cron, zone) = ("* * * * *".to_owned(), "UTC".to_owned());
    ScheduleSettings { cron, zone, overlap, catch_up, paused: false }
}

/// A schedule that is due now.
fn new_schedule<B: Backend>(
    harness: &Harness<B>,
    owner: &Person,
    name: &str,
    overlap: Overlap,
) -> NewSchedule {
    NewSchedule {
        group: owner.group,
        name: name.to_owned(),
        settings: settings(overlap, CatchUp::One),
        blueprint: Arc::from("{}"),
        next_due: Some(harness.now),
    }
}

async fn create<B: Backend>(harness: &Harness<B>, owner: &Person, new: &NewSchedule) -> ScheduleId {
    match harness.store().create_schedule(owner.user, new, harness.now).await.unwrap() {
        ScheduleCreation::Created(id) => id,
        other => panic!("unexpected creation: {other:?}"),
    }
}

async fn schedule<B: Backend>(harness: &Harness<B>, id: ScheduleId) -> Schedule {
    harness.store().schedule(id).await.unwrap().expect("the schedule is there")
}

fn new_job<B: Backend>(harness: &Harness<B>, owner: &Person) -> NewJob {
    NewJob { name: Some("nightly".to_owned()), ..jobs::new_job(harness, owner, 1, 1) }
}

fn submit<B: Backend>(harness: &Harness<B>, owner: &Person, cancelled: &[JobId]) -> DueAction {
    DueAction::Submit { job: Box::new(new_job(harness, owner)), cancelled: cancelled.to_vec() }
}

/// Handles the due run; the next one is due a minute later.
async fn handle<B: Backend>(harness: &Harness<B>, id: ScheduleId, action: &DueAction) -> DueOutcome {
    let seen = schedule(harness, id).await.seen;
    let next = seen.next_due.map(|due| due + MINUTE);
    harness.store().handle_due(id, seen, action, next, harness.now).await.answer()
}

fn recorded(outcome: DueOutcome) -> ScheduleRun {
    match outcome {
        DueOutcome::Recorded(run) => run,
        other => panic!("unexpected outcome: {other:?}"),
    }
}

async fn runs_job<B: Backend>(harness: &Harness<B>, owner: &Person, id: ScheduleId) -> JobId {
    let run = recorded(handle(harness, id, &submit(harness, owner, &[])).await);
    JobId(run.job.expect("a job was submitted"))
}

async fn job<B: Backend>(harness: &Harness<B>, id: JobId) -> Job {
    harness.store().job(id).await.unwrap().expect("the job is there")
}

async fn end<B: Backend>(harness: &Harness<B>, id: JobId) {
    harness.store().cancel_job(Actor::System, id, &JobTasks::default(), harness.now).await.answer();
    assert!(harness.store().end_job(id, harness.now).await.answer());
}

async fn outcomes<B: Backend>(harness: &Harness<B>, id: ScheduleId) -> Vec<RunOutcome> {
    harness.store().schedule_runs(id).await.unwrap().iter().map(|run| run.outcome).collect()
}

pub(crate) async fn due_time_is_handled_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Queue)).await;
    let (due, next) = (harness.now, harness.now + HOUR);
    harness.pass(SECOND);
    let seen = schedule(harness, id).await.seen;
    let (store, now) = (harness.store(), harness.now);
    let actions: Vec<DueAction> = (0..4).map(|_| submit(harness, &ann, &[])).collect();
    let handled =
        join_all(actions.iter().map(|action| store.handle_due(id, seen, action, Some(next), now))).await;
    let mut runs: Vec<DueOutcome> = handled.into_iter().map(super::super::harness::Answer::answer).collect();
    runs.retain(|run| *run != DueOutcome::Moved);
    let [DueOutcome::Recorded(run)] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((run.due, run.handled_at, run.outcome), (due, now, RunOutcome::Submitted));
    let submitted = job(harness, JobId(run.job.unwrap())).await;
    assert_eq!(
        (submitted.name.as_deref(), submitted.creator, submitted.written),
        (Some("nightly"), ann.user, 1)
    );
    harness.restart().await;
    let action = submit(harness, &ann, &[]);
    assert_eq!(
        harness.store().handle_due(id, seen, &action, Some(next), now).await.answer(),
        DueOutcome::Moved
    );
    let after = schedule(harness, id).await;
    assert_eq!((after.seen.next_due, after.last_run.as_ref()), (Some(next), Some(run)));
    assert_eq!(harness.store().schedule_runs(id).await.unwrap(), std::slice::from_ref(run));
    assert_eq!(harness.scalar("SELECT count(*) FROM job").await, 1);
}

pub(crate) async fn overlapping_run_is_skipped<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Skip)).await;
    let first = runs_job(harness, &ann, id).await;
    let run = recorded(handle(harness, id, &submit(harness, &ann, &[])).await);
    assert_eq!((run.outcome, run.job), (RunOutcome::Skipped, None));
    assert_eq!(run.reason, Some(format!("job {} has not ended", first.0)));
    end(harness, first).await;
    assert!(runs_job(harness, &ann, id).await > first);
    assert_eq!(
        outcomes(harness, id).await,
        [RunOutcome::Submitted, RunOutcome::Skipped, RunOutcome::Submitted]
    );
}

pub(crate) async fn queued_run_waits_for_all_others<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Queue)).await;
    let first = runs_job(harness, &ann, id).await;
    let second = runs_job(harness, &ann, id).await;
    // The second is cancelled before the first has ended.
    end(harness, second).await;
    let third = runs_job(harness, &ann, id).await;
    let waiting = job(harness, third).await;
    assert_eq!((waiting.written, waiting.unmet), (0, 1));
    let needs = harness.store().job_needs(&[third]).await.unwrap();
    assert_eq!(needs.len(), 1);
    assert_eq!((needs[0].1.job, needs[0].1.kind), (first.0, NeedKind::Ended));
    end(harness, first).await;
    assert_eq!(job(harness, third).await.unmet, 0);
}

pub(crate) async fn queue_of_a_schedule_is_bounded<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Queue)).await;
    let mut jobs = Vec::new();
    for _ in 0..MAX_QUEUED {
        jobs.push(runs_job(harness, &ann, id).await);
    }
    for _ in 0..3 {
        let run = recorded(handle(harness, id, &submit(harness, &ann, &[])).await);
        assert_eq!(run.outcome, RunOutcome::Skipped);
        assert!(run.reason.unwrap().starts_with(&format!("{MAX_QUEUED} jobs")));
    }
    // The record of a run whose job has not ended is kept: otherwise, the next job would not wait for it.
    assert_eq!(harness.store().schedule_runs(id).await.unwrap().len(), MAX_QUEUED + 3);
    end(harness, jobs[0]).await;
    runs_job(harness, &ann, id).await;
    assert_eq!(harness.store().schedule_runs(id).await.unwrap().len(), MAX_QUEUED + 3);
}

pub(crate) async fn replacing_run_waits_for_the_cancelled_job<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Replace)).await;
    let first = runs_job(harness, &ann, id).await;
    let before = schedule(harness, id).await;
    let running = handle(harness, id, &submit(harness, &ann, &[])).await;
    assert_eq!(running, DueOutcome::Running(vec![first]));
    assert_eq!(schedule(harness, id).await, before, "nothing has changed");
    let run = recorded(handle(harness, id, &submit(harness, &ann, &[first])).await);
    let second = job(harness, JobId(run.job.unwrap())).await;
    assert_eq!((second.written, second.unmet), (0, 1));
    end(harness, first).await;
    end(harness, second.id).await;
    let third = runs_job(harness, &ann, id).await;
    assert_eq!(job(harness, third).await.unmet, 0);
}

pub(crate) async fn run_is_refused_if_the_creator_lost_the_right<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    harness.let_in(raj.user, ann.group).await;
    let new = NewSchedule { group: ann.group, ..new_schedule(harness, &raj, "nightly", Overlap::Queue) };
    let id = create(harness, &raj, &new).await;
    let mut action = submit(harness, &ann, &[]);
    recorded(handle(harness, id, &action).await).job.unwrap();
    let lock = |state| {
        let (store, now) = (harness.store(), harness.now);
        async move { store.set_account_state(Actor::System, "raj", state, now).await.answer() }
    };
    lock(AccountState::Locked).await;
    action = submit(harness, &ann, &[]);
    let due = schedule(harness, id).await.seen.next_due;
    let run = recorded(handle(harness, id, &action).await);
    assert_eq!((run.outcome, Some(run.due), run.job), (RunOutcome::Refused, due, None));
    assert!(run.reason.unwrap().contains("creator"));
    lock(AccountState::Active).await;
    let relations = [("raj".to_owned(), Role::Read)].into();
    harness.store().set_members(Actor::System, ann.group, &relations, harness.now).await.answer();
    let (store, by, job) = (harness.store(), Actor::User(ann.user), new_job(harness, &ann));
    let requested = store.run_schedule(by, id, &job, harness.now).await.answer();
    assert_eq!(requested, RequestedRun::CreatorRefused);
    // With the right back, the schedule continues.
    let relations = [("raj".to_owned(), Role::Write)].into();
    harness.store().set_members(Actor::System, ann.group, &relations, harness.now).await.answer();
    action = submit(harness, &ann, &[]);
    assert_eq!(recorded(handle(harness, id, &action).await).outcome, RunOutcome::Submitted);
    let (refused, submitted) = (RunOutcome::Refused, RunOutcome::Submitted);
    assert_eq!(outcomes(harness, id).await, [submitted, refused, refused, submitted]);
}

/// Handles due runs like a coordinator, until none is due.
async fn coordinator<B: Backend>(harness: &Harness<B>, owner: &Person, id: ScheduleId) -> Vec<Timestamp> {
    let mut submitted = Vec::new();
    loop {
        let found = schedule(harness, id).await;
        let Some(due) = found.seen.next_due.filter(|due| *due <= harness.now) else { return submitted };
        let timetable = Timetable::parse(&found.settings.cron, &found.settings.zone).unwrap();
        let (action, next) = match timetable.step(due, found.settings.catch_up, harness.now) {
            DueStep::Run { next } => (submit(harness, owner, &[]), next),
            DueStep::Miss { until, next } => (DueAction::Miss { until }, next),
        };
        let outcome = harness.store().handle_due(id, found.seen, &action, next, harness.now).await.answer();
        if let DueOutcome::Recorded(ScheduleRun { job: Some(_), due, .. }) = outcome {
            submitted.push(due);
        }
    }
}

pub(crate) async fn missed_runs_are_made_up_for_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.now = Timestamp::parse("2031-02-09T17:00:00Z").unwrap();
    let mut ids = Vec::new();
    for catch_up in [CatchUp::None, CatchUp::One, CatchUp::All] {
        let name = format!("{catch_up:?}");
        let new = new_schedule(harness, &ann, &name, Overlap::Queue);
        let new = NewSchedule { settings: settings(Overlap::Queue, catch_up), ..new };
        ids.push(create(harness, &ann, &new).await);
    }
    // No coordinator runs for two and a half hours, and there are 151 due times.
    harness.pass(HOUR * 2 + MINUTE * 30 + SECOND);
    let last = Timestamp::parse("2031-02-09T19:30:00Z").unwrap();
    let all: Vec<Timestamp> = (0..100).rev().map(|minutes| last - MINUTE * minutes).collect();
    for (id, expected) in ids.iter().zip([vec![last], vec![last], all]) {
        let (here, there) = join(coordinator(harness, &ann, *id), coordinator(harness, &ann, *id)).await;
        let mut submitted = [here, there].concat();
        submitted.sort_unstable();
        assert_eq!(submitted, expected);
        assert_eq!(schedule(harness, *id).await.seen.next_due, Some(last + MINUTE));
        let runs = harness.store().schedule_runs(*id).await.unwrap();
        if let [run, missed] = &runs[..] {
            let first = Timestamp::parse("2031-02-09T17:00:00Z").unwrap();
            assert_eq!((run.outcome, run.due), (RunOutcome::Submitted, last));
            assert_eq!((missed.outcome, missed.due), (RunOutcome::Missed, first));
            assert_eq!(missed.until, Some(last - MINUTE));
        } else {
            assert_eq!(runs.len() as u64, KEPT_RUNS);
        }
    }
    assert_eq!(harness.scalar("SELECT count(*) FROM job").await, 102);
}

pub(crate) async fn runs_of_a_schedule_are_bounded<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Skip)).await;
    for place in 0..KEPT_RUNS + 5 {
        let reason = format!("reason {place}");
        let run = recorded(handle(harness, id, &DueAction::Fail { reason: reason.clone() }).await);
        assert_eq!((run.outcome, run.reason), (RunOutcome::Failed, Some(reason)));
    }
    let runs = harness.store().schedule_runs(id).await.unwrap();
    assert_eq!(runs.len() as u64, KEPT_RUNS);
    assert_eq!(runs[0].reason.as_deref(), Some("reason 104"));
}

pub(crate) async fn name_of_a_schedule_is_unique_in_its_group<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let new = new_schedule(harness, &ann, "nightly", Overlap::Skip);
    let (store, now) = (harness.store(), harness.now);
    let created = join_all((0..4).map(|_| store.create_schedule(ann.user, &new, now))).await;
    let taken = created.iter().filter(|created| matches!(created, Ok(ScheduleCreation::NameTaken))).count();
    assert_eq!(taken, 3, "{created:?}");
    assert_eq!(store.create_schedule(raj.user, &new, now).await.unwrap(), ScheduleCreation::Denied);
    let his = create(harness, &raj, &new_schedule(harness, &raj, "nightly", Overlap::Skip)).await;
    let query = |groups, name: &str| ScheduleQuery {
        groups,
        name: Some(name.to_owned()),
        limit: 9,
        ..ScheduleQuery::default()
    };
    let found = store.schedules(&query(vec![raj.group], "nightly")).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [his]);
    assert_eq!(store.schedules(&query(vec![ann.group, raj.group], "nightly")).await.unwrap().len(), 2);
    assert!(store.schedules(&query(vec![ann.group], "Nightly")).await.unwrap().is_empty());
    assert_eq!(store.schedule_blueprint(his).await.unwrap().as_deref(), Some("{}"));
}

pub(crate) async fn schedules_of_a_group_are_limited<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let new = |place: u64| new_schedule(harness, &ann, &format!("s{place}"), Overlap::Skip);
    for place in 0..MAX_SCHEDULES - 1 {
        create(harness, &ann, &new(place)).await;
    }
    let (store, now) = (harness.store(), harness.now);
    let last = [new(MAX_SCHEDULES), new(MAX_SCHEDULES + 1)];
    let created = join_all(last.iter().map(|new| store.create_schedule(ann.user, new, now))).await;
    let refused = created.iter().filter(|created| matches!(created, Ok(ScheduleCreation::TooMany))).count();
    assert_eq!(refused, 1, "{created:?}");
}

pub(crate) async fn schedule_changes_only_as_it_was_seen<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Skip)).await;
    let before = schedule(harness, id).await;
    let wanted = ScheduleSettings { paused: true, ..settings(Overlap::Replace, CatchUp::All) };
    let (store, now) = (harness.store(), harness.now + SECOND);
    let change = |by, seen| store.change_schedule(by, id, seen, &wanted, None, now);
    assert_eq!(change(Actor::User(raj.user), before.seen).await.unwrap(), ScheduleUpdate::Denied);
    assert_eq!(change(Actor::User(ann.user), before.seen).await.unwrap(), ScheduleUpdate::Done);
    assert_eq!(change(Actor::User(ann.user), before.seen).await.unwrap(), ScheduleUpdate::Moved);
    let after = schedule(harness, id).await;
    assert_eq!((&after.settings, after.seen.next_due, after.updated_at), (&wanted, None, now));
    // A coordinator that has read the settings before does not run it.
    let late = store.handle_due(id, before.seen, &submit(harness, &ann, &[]), None, now).await.answer();
    assert_eq!(late, DueOutcome::Moved);
    assert_eq!(handle(harness, id, &submit(harness, &ann, &[])).await, DueOutcome::Moved, "it is paused");
    let due = ScheduleSettings { paused: false, ..wanted.clone() };
    let resumed = store.change_schedule(Actor::User(ann.user), id, after.seen, &due, Some(now), now).await;
    assert_eq!(resumed.unwrap(), ScheduleUpdate::Done);
    runs_job(harness, &ann, id).await;
}

pub(crate) async fn requested_run_waits_for_nothing<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Skip)).await;
    let (store, new, now) = (harness.store(), new_job(harness, &ann), harness.now);
    let denied = store.run_schedule(Actor::User(raj.user), id, &new, now).await.answer();
    assert_eq!(denied, RequestedRun::Denied);
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let new = new_job(harness, &ann);
        match store.run_schedule(Actor::User(ann.user), id, &new, now).await.answer() {
            RequestedRun::Submitted(job) => jobs.push(job),
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(job(harness, jobs[1]).await.unmet, 0);
    assert_eq!(schedule(harness, id).await.seen.next_due, Some(now), "the due run is still due");
    let run = recorded(handle(harness, id, &submit(harness, &ann, &[])).await);
    assert_eq!(run.outcome, RunOutcome::Skipped, "a requested run counts as one");
    let runs = store.schedule_runs(id).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.requested).collect::<Vec<_>>(), [false, true, true]);
}

pub(crate) async fn due_schedules_are_paged_by_due_time<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let mut ids = Vec::new();
    for (name, seconds) in [("a", 30), ("b", 10), ("c", 10), ("d", 99), ("e", 20)] {
        let next_due = Some(harness.now + SECOND * seconds);
        let new = NewSchedule { next_due, ..new_schedule(harness, &ann, name, Overlap::Skip) };
        ids.push(create(harness, &ann, &new).await);
    }
    harness.pass(SECOND * 30);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = harness.store().due_schedules(harness.now, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seen.next_due.map(|due| (due, last.id));
        found.extend(page.iter().map(|due| due.id));
    }
    assert_eq!(found, [ids[1], ids[2], ids[4], ids[0]]);
}

pub(crate) async fn removed_schedule_leaves_its_jobs<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let id = create(harness, &ann, &new_schedule(harness, &ann, "nightly", Overlap::Skip)).await;
    let first = runs_job(harness, &ann, id).await;
    end(harness, first).await;
    let removed = harness.store().remove_job(Actor::System, first, harness.now).await.unwrap();
    assert!(matches!(removed, JobRemoval::Done { more: false, .. }));
    assert_eq!(schedule(harness, id).await.last_run.unwrap().job, Some(first.0), "the record stays");
    let second = runs_job(harness, &ann, id).await;
    assert!(!harness.store().remove_schedule(Actor::User(raj.user), id).await.unwrap());
    assert!(harness.store().remove_schedule(Actor::User(ann.user), id).await.unwrap());
    assert!(!harness.store().remove_schedule(Actor::User(ann.user), id).await.unwrap());
    assert_eq!(harness.store().schedule(id).await.unwrap(), None);
    assert_eq!(harness.scalar("SELECT count(*) FROM schedule_run").await, 0);
    assert_eq!(job(harness, second).await.id, second);
    let new = new_schedule(harness, &ann, "nightly", Overlap::Skip);
    assert!(create(harness, &ann, &new).await > id, "the name is free, and numbers are not used again");
}

pub(crate) async fn deleted_group_pauses_its_schedules<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let new = NewSchedule { group: lab, ..new_schedule(harness, &ann, "nightly", Overlap::Skip) };
    let id = create(harness, &ann, &new).await;
    let seen = schedule(harness, id).await.seen;
    harness.store().delete_group(Actor::User(ann.user), lab, harness.now).await.answer();
    let after = schedule(harness, id).await;
    assert!(after.settings.paused && after.seen.next_due.is_none());
    assert!(harness.store().due_schedules(harness.now + HOUR, None, 9).await.unwrap().is_empty());
    let action = submit(harness, &ann, &[]);
    let late = harness.store().handle_due(id, seen, &action, None, harness.now).await.answer();
    assert_eq!(late, DueOutcome::Moved);
    let new = NewSchedule { name: "other".to_owned(), ..new };
    let created = harness.store().create_schedule(ann.user, &new, harness.now).await.unwrap();
    assert_eq!(created, ScheduleCreation::Denied);
    let relations = [("ann".to_owned(), Role::Admin)].into();
    harness.store().restore_group(Actor::System, lab, &relations, harness.now).await.answer();
    let due = ScheduleSettings { paused: false, ..after.settings.clone() };
    let (store, by, now) = (harness.store(), Actor::User(ann.user), harness.now);
    let resumed = store.change_schedule(by, id, after.seen, &due, Some(now), now).await;
    assert_eq!(resumed.unwrap(), ScheduleUpdate::Done);
}
