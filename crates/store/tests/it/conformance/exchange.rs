//! Exchanges with many agents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::task::{Attempt, ExecEnd, LeaseKey, Phase};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::AttemptCause;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_protocol::{
    Epoch, LeaseToken, Role, TaskResult, TaskResultMessage, TaskState, Timestamp, WaitStatus,
};
use mitosis_store::ops::Actor;
use mitosis_store::ops::Effects;
use mitosis_store::ops::dispatch::{
    Assigned, Completed, EndReport, Ended, Exchange, Exchanged, FollowUp, Holder, Verdict, Work,
};
use mitosis_store::ops::tasks::{NewTask, StopRequested};
use mitosis_store::ops::workers::{HeldAttempt, HeldAttempts, NewWorker};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, RegisteredWorker, SECOND, status, tag_set};

fn finished(lease: LeaseKey) -> Ended {
    Ended {
        lease,
        end: ExecEnd::Finished,
        result: status(0),
        data: None,
        warnings: Vec::new(),
        archives: Vec::new(),
        usage: None,
    }
}

/// The tasks that an agent was given.
fn work(exchanged: Exchanged) -> Vec<Work> {
    match exchanged.assigned {
        Assigned::Work(work, _) => work,
        other => panic!("the agent was given {other:?}"),
    }
}

pub(crate) async fn takes<B: Backend>(
    harness: &Harness<B>,
    worker: RegisteredWorker,
    want: usize,
) -> Vec<Work> {
    work(harness.exchange_one(Exchange { want, ..harness.nothing(worker) }).await)
}

/// The effects of an exchange.
async fn effects_of<B: Backend>(harness: &Harness<B>, batch: &[Arc<Exchange>]) -> Effects {
    harness.store().exchange(batch, harness.now.into()).await.unwrap().into_parts().1
}

pub(crate) async fn exchange_ends_one_task_and_assigns_the_next<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let held = takes(harness, worker, 1).await.remove(0);
    assert_eq!((held.uuid, held.timeout.as_secs(), held.upstream), (first, 600, None));
    assert_eq!(held.spec, harness.get(first).await.spec);

    harness.pass(SECOND);
    let ended = Ended { result: status(512), ..finished(held.lease) };
    let both = Exchange { ended: vec![ended], want: 1, ..harness.nothing(worker) };
    let exchanged = harness.exchange_one(both.clone()).await;
    assert_eq!(exchanged.verdicts, [Verdict::Committed(first)]);
    assert_eq!(work(exchanged)[0].uuid, second);
    let Phase::Ended(ending) = harness.phase(first).await else { panic!("it has not ended") };
    assert_eq!((ending.result, ending.reporter, ending.at), (status(512), Some(worker.uuid), harness.now));

    harness.restart().await;
    let again = harness.exchange_one(both).await;
    assert_eq!(again.verdicts, [Verdict::Replayed], "a lost reply costs nothing");
    assert!(work(again).is_empty());
}

pub(crate) async fn work_carries_its_group_and_priority<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[NewTask { priority: 7, ..harness.task(ann.group) }]).await;
    let given = takes(harness, worker, 1).await.remove(0);
    assert_eq!((given.group, given.priority), (ann.group, 7));
}

pub(crate) async fn verdicts_of_agents_are_independent<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (one, other, gone) =
        (harness.worker(&ann).await, harness.worker(&ann).await, harness.worker(&ann).await);
    harness.submit(&ann, &[(); 4].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, one, 3).await;
    let lost = takes(harness, gone, 1).await.remove(0);
    harness.store().stop_worker(Actor::System, gone.uuid, ShutdownOp::Force, harness.now).await.answer();
    let guessed = LeaseKey { token: LeaseToken(1), ..held[2].lease };
    let batch = [
        Exchange {
            ended: vec![finished(held[0].lease), finished(guessed), finished(held[0].lease)],
            ..harness.nothing(one)
        },
        // The key of another agent does not count, even if it is valid.
        Exchange { ended: vec![finished(held[1].lease)], want: 5, ..harness.nothing(other) },
        Exchange { ended: vec![finished(lost.lease)], want: 5, ..harness.nothing(gone) },
    ];
    let batch = batch.map(Arc::new);
    let outcome = harness.store().exchange(&batch, harness.now.into()).await.answer();
    let verdicts: Vec<_> = outcome.iter().map(|one| one.verdicts.clone()).collect();
    assert_eq!(
        verdicts,
        [
            vec![Verdict::Committed(held[0].uuid), Verdict::Stale, Verdict::Replayed],
            vec![Verdict::Stale],
            vec![Verdict::Stale],
        ]
    );
    assert_eq!(outcome[2].assigned, Assigned::WorkerGone);
    assert_eq!(work(outcome[1].clone())[0].uuid, lost.uuid, "the lost one's task is given on");
    for (task, state) in
        [(&held[0], TaskState::Finished), (&held[1], TaskState::Running), (&held[2], TaskState::Running)]
    {
        assert_eq!(harness.phase(task.uuid).await.state(), state);
    }
}

pub(crate) async fn few_tasks_are_spread_over_the_agents_of_a_batch<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let workers = [harness.worker(&ann).await, harness.worker(&ann).await, harness.worker(&ann).await];
    harness.submit(&ann, &[(); 4].map(|()| harness.task(ann.group))).await;
    let batch = workers.map(|worker| Arc::new(Exchange { want: 64, ..harness.nothing(worker) }));
    let outcome = harness.store().exchange(&batch, harness.now.into()).await.answer();
    let (counts, classes): (Vec<_>, BTreeSet<_>) = outcome
        .into_iter()
        .map(|one| match one.assigned {
            Assigned::Work(work, class) => (work.len(), class.0),
            other => panic!("{other:?}"),
        })
        .unzip();
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(classes.len(), 1, "they may run the same");
}

pub(crate) async fn eligibility_groups_never_share_a_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let plain = harness.worker(&ann).await;
    let tagged = harness.register(&NewWorker { tags: tag_set("gpu"), ..harness.new_worker(&ann) }).await;
    // First fewer tasks than they want, then more, then some that only one of them may run.
    for (tags, tasks, wanted) in [("", 1, 5), ("", 7, 2), ("gpu", 3, 5)] {
        let task = || NewTask { tags: tag_set(tags), ..harness.task(ann.group) };
        harness.submit(&ann, &(0..tasks).map(|_| task()).collect::<Vec<_>>()).await;
        let batch = [plain, tagged].map(|worker| Exchange { want: wanted, ..harness.nothing(worker) });
        let batch = batch.map(Arc::new);
        let outcome = harness.store().exchange(&batch, harness.now.into()).await.answer();
        let mut seen = BTreeSet::new();
        for (worker, exchanged) in [plain, tagged].into_iter().zip(outcome) {
            for given in work(exchanged) {
                assert!(seen.insert(given.uuid), "it was given twice");
                let Phase::Running(attempt) = harness.phase(given.uuid).await else { panic!("it is held") };
                assert_eq!(attempt.worker, worker.uuid, "the assigned worker holds it");
                let ended = vec![finished(given.lease)];
                let exchanged = harness.exchange_one(Exchange { ended, ..harness.nothing(worker) }).await;
                assert_eq!(exchanged.verdicts, [Verdict::Committed(given.uuid)]);
            }
        }
        assert_eq!(seen.len(), tasks.min(2 * wanted), "{tags}: {wanted} of {tasks}");
        takes(harness, tagged, 64).await;
    }
}

pub(crate) async fn groups_share_slots_and_priority_orders_within<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let groups = BTreeMap::from([(ann.group, Role::Admin), (lab, Role::Write)]);
    let worker =
        harness.register(&NewWorker { groups, tags: tag_set("gpu"), ..harness.new_worker(&ann) }).await;
    let task = |group, priority, tags| NewTask { priority, tags: tag_set(tags), ..harness.task(group) };
    let own: Vec<_> = (0..20).map(|_| task(ann.group, 9, "")).collect();
    harness.submit(&ann, &own).await;
    harness.submit(&ann, &[task(lab, 0, ""), task(lab, 5, "gpu"), task(lab, 0, "gpu")]).await;
    let mut given = takes(harness, worker, 1).await;
    given.extend(takes(harness, worker, 7).await);
    let mut order = Vec::new();
    for one in &given {
        let task = harness.get(one.uuid).await;
        order.push((task.group_name, task.priority));
    }
    let lab: Vec<_> =
        order.iter().filter(|(group, _)| group == "lab").map(|(_, priority)| *priority).collect();
    assert_eq!(lab, [5, 0, 0], "within a group the larger priority goes first");
    let groups: Vec<_> = order.iter().map(|(group, _)| group.as_str()).collect();
    assert_eq!(groups, ["ann", "lab", "ann", "lab", "ann", "lab", "ann", "ann"]);
}

pub(crate) async fn groups_share_slot_time<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let groups = BTreeMap::from([(ann.group, Role::Admin), (lab, Role::Write)]);
    let worker = harness.register(&NewWorker { groups, ..harness.new_worker(&ann) }).await;
    let tasks: Vec<_> = (0..80).map(|place| harness.task([ann.group, lab][place % 2])).collect();
    harness.submit(&ann, &tasks).await;
    let ends = async |work: &Work, harness: &Harness<B>| {
        let one = Exchange { ended: vec![finished(work.lease)], ..harness.nothing(worker) };
        assert_eq!(harness.exchange_one(one).await.verdicts, [Verdict::Committed(work.uuid)]);
    };
    // A task of each group starts. That of `ann` runs on, those of `lab` run for a second.
    let (of_ann, of_lab): (Vec<_>, Vec<_>) =
        takes(harness, worker, 2).await.into_iter().partition(|work| work.group == ann.group);
    ends(&of_lab[0], harness).await;
    for second in 0..20 {
        let next = takes(harness, worker, 1).await.remove(0);
        assert_eq!(next.group, lab, "after {second} s");
        harness.pass(SECOND);
        ends(&next, harness).await;
    }
    // Both have used twenty seconds.
    ends(&of_ann[0], harness).await;
    let both: BTreeSet<_> = takes(harness, worker, 2).await.iter().map(|work| work.group).collect();
    assert_eq!(both, [ann.group, lab].into());
    harness.store().correct_shares(harness.now).await.unwrap();
    harness.pass(SECOND);
    let both: BTreeSet<_> = takes(harness, worker, 2).await.iter().map(|work| work.group).collect();
    assert_eq!(both, [ann.group, lab].into());
}

pub(crate) async fn returned_task_keeps_its_position<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (worker, other) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let ids = harness.submit(&ann, &[(); 3].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, worker, 2).await;
    let keys: Vec<_> = held.iter().map(|one| one.lease).collect();
    let foreign = Exchange { returned: keys.clone(), ..harness.nothing(other) };
    assert!(!effects_of(harness, &[foreign.into()]).await.ready, "not its to return");
    assert_eq!(harness.phase(ids[0].uuid).await.state(), TaskState::Running);

    let returned = Exchange { returned: keys.clone(), ..harness.nothing(worker) };
    assert!(effects_of(harness, &[returned.clone().into(), returned.into()]).await.ready);
    assert_eq!(harness.phase(ids[0].uuid).await, Phase::Ready);
    let again = takes(harness, other, 3).await;
    assert_eq!(again.iter().map(|one| one.uuid).collect::<Vec<_>>(), ids.map_uuids());
    assert_eq!(again[0].lease.epoch, Epoch(2), "another attempt");
    assert_eq!(harness.scalar("SELECT CAST(sum(losses) AS BIGINT) FROM lease").await, 0, "nothing was lost");
    let late = Exchange { ended: vec![finished(keys[0])], ..harness.nothing(worker) };
    assert_eq!(harness.exchange_one(late).await.verdicts, [Verdict::Stale]);
}

trait MapUuids {
    fn map_uuids(&self) -> Vec<Uuid>;
}

impl MapUuids for Vec<mitosis_store::ops::tasks::TaskIds> {
    fn map_uuids(&self) -> Vec<Uuid> {
        self.iter().map(|ids| ids.uuid).collect()
    }
}

pub(crate) async fn draining_agent_is_removed_with_its_last_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[(); 4].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, worker, 3).await;
    harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Graceful, harness.now).await.answer();
    let first = Exchange { ended: vec![finished(held[0].lease)], want: 1, ..harness.nothing(worker) };
    assert_eq!(harness.exchange_one(first).await.assigned, Assigned::Stopping);
    let rest = Exchange {
        ended: vec![finished(held[1].lease)],
        returned: vec![held[2].lease],
        want: 1,
        ..harness.nothing(worker)
    };
    assert_eq!(harness.exchange_one(rest).await.assigned, Assigned::Stopping);
    assert_eq!(harness.store().worker(worker.uuid).await.unwrap(), None);
    assert_eq!(harness.phase(held[2].uuid).await, Phase::Ready);
    let late = Exchange { want: 1, ..harness.nothing(worker) };
    assert_eq!(harness.exchange_one(late).await.assigned, Assigned::WorkerGone);
}

pub(crate) async fn agent_of_a_locked_owner_is_gone<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
    let held = takes(harness, worker, 1).await.remove(0);
    harness.store().set_account_state(Actor::System, "ann", AccountState::Locked, harness.now).await.answer();
    let both = Exchange { ended: vec![finished(held.lease)], want: 1, ..harness.nothing(worker) };
    let exchanged = harness.exchange_one(both).await;
    assert_eq!((&exchanged.verdicts[..], exchanged.assigned), (&[Verdict::Stale][..], Assigned::WorkerGone));
    assert_eq!(harness.phase(held.uuid).await.state(), TaskState::Ready);
}

pub(crate) async fn exchange_reports_a_released_follow_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
    let held = takes(harness, worker, 2).await;
    let holder = Holder::Lease(held[0].lease);
    assert_eq!(harness.report(holder, ExecEnd::Finished).await, EndReport::Recorded);
    let next = harness.task(ann.group);
    let made = harness.store().submit_follow_up(holder, &next, harness.now).await.answer();
    assert!(matches!(made, FollowUp::Created(_)), "{made:?}");
    let plain = Exchange { ended: vec![finished(held[1].lease)], ..harness.nothing(worker) };
    assert!(!effects_of(harness, &[plain.into()]).await.ready);
    // An earlier report of the end has precedence.
    let cancelled = Ended { end: ExecEnd::Cancelled, ..finished(held[0].lease) };
    let last = Exchange { ended: vec![cancelled], want: 1, ..harness.nothing(worker) };
    let changed = harness.store().exchange(&[last.into()], harness.now.into()).await.unwrap();
    let (outcome, effects) = changed.into_parts();
    assert!(effects.ready);
    assert_eq!(work(outcome[0].clone())[0].uuid, next.uuid, "and it is given out at once");
    assert_eq!(harness.phase(held[0].uuid).await.state(), TaskState::Finished);
}

pub(crate) async fn data_of_a_task_is_stored<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let held = takes(harness, worker, 1).await.remove(0);
    let data = Some(r#"{"loss":0.25}"#.to_owned());
    let ended = vec![Ended { data, ..finished(held.lease) }];
    harness.exchange_one(Exchange { ended, ..harness.nothing(worker) }).await;
    assert_eq!(harness.scalar("SELECT CAST(length(CAST(data AS TEXT)) AS BIGINT) FROM done").await, 13);
}

pub(crate) async fn usage_of_an_attempt_is_stored_and_summed_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (measured, other) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let held = takes(harness, worker, 2).await;
    let usage =
        AttemptUsage { wall_micros: 4_000_000, cpu_micros: 3_500_000, peak_memory: 1 << 40, output_bytes: 7 };
    let killed =
        TaskResult { exit_status: WaitStatus::signalled(9), msg: Some(TaskResultMessage::OutOfMemory) };
    let ended = held.iter().map(|one| match one.uuid == measured {
        true => Ended { usage: Some(usage), end: ExecEnd::Cancelled, result: killed, ..finished(one.lease) },
        false => finished(one.lease),
    });
    harness.exchange_one(Exchange { ended: ended.collect(), ..harness.nothing(worker) }).await;
    let attempts = async |task| harness.store().attempts(task).await.unwrap();
    let [first] = &attempts(measured).await[..] else { panic!("one attempt") };
    assert_eq!((first.usage, first.cause), (Some(usage), Some(AttemptCause::Oom)));
    let [second] = &attempts(other).await[..] else { panic!("one attempt") };
    assert_eq!((second.usage, second.cause), (None, Some(AttemptCause::Exit)));
    let end = harness.now + SECOND;
    let all = harness.store().usage(Timestamp::UNIX_EPOCH, end, 60 * SECOND).await.unwrap().unwrap();
    assert_eq!((all.len(), all[0].counts.cpu_seconds), (1, 3));
}

pub(crate) async fn held_work_is_returned_to_its_worker_only<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (worker, other) = (harness.worker(&ann).await, harness.worker(&ann).await);
    harness.submit(&ann, &[(); 3].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, worker, 3).await;
    let tasks: Vec<_> = held[1..].iter().map(|one| one.lease.task).collect();
    assert_eq!(harness.store().held_work(worker.id, &tasks).await.unwrap(), held[1..]);
    assert!(harness.store().held_work(other.id, &tasks).await.unwrap().is_empty());
}

pub(crate) async fn agent_reads_its_attempts_and_stop_requests<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let agent = harness.register(&NewWorker { slots: Some(4), ..harness.new_worker(&ann) }).await;
    let published = harness.worker(&ann).await;
    assert_eq!(harness.store().worker(agent.uuid).await.unwrap().unwrap().slots, Some(4));
    harness.submit(&ann, &[(); 4].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, agent, 2).await;
    let old = takes(harness, published, 1).await.remove(0);
    let waiting = takes(harness, agent, 0).await;
    assert!(waiting.is_empty());

    let ask = async |uuid: Uuid| harness.request_stop(Actor::System, uuid).await;
    assert_eq!(ask(held[1].uuid).await, StopRequested::Agent(agent.uuid));
    assert_eq!(ask(held[1].uuid).await, StopRequested::Agent(agent.uuid), "again changes nothing");
    assert_eq!(ask(old.uuid).await, StopRequested::LegacyWorker);
    assert_eq!(ask(Uuid::nil()).await, StopRequested::NotRunning);
    let several = [old.uuid, Uuid::nil(), held[1].uuid];
    let outcomes = harness.store().request_stops(Actor::System, &several, harness.now).await.answer();
    let expected = [StopRequested::LegacyWorker, StopRequested::NotRunning, StopRequested::Agent(agent.uuid)];
    assert_eq!(outcomes, expected, "in the given order");

    let attempt = |one: &Work, stop_asked| HeldAttempt {
        task: one.lease.task,
        epoch: Epoch::FIRST,
        claimed_at: harness.now,
        stop_asked,
    };
    let known = harness.store().held_attempts(&[agent.id, published.id]).await.unwrap();
    let expected = vec![attempt(&held[0], false), attempt(&held[1], true)];
    assert_eq!(known[&agent.id], HeldAttempts { state: WorkerState::Normal, attempts: expected });
    assert_eq!(known[&published.id].attempts, [attempt(&old, false)]);
    harness.store().stop_worker(Actor::System, agent.uuid, ShutdownOp::Graceful, harness.now).await.answer();
    harness.store().stop_worker(Actor::System, published.uuid, ShutdownOp::Force, harness.now).await.answer();
    let known = harness.store().held_attempts(&[agent.id, published.id]).await.unwrap();
    assert_eq!(known[&agent.id].state, WorkerState::GracefulShutdown);
    assert!(!known.contains_key(&published.id));
}

pub(crate) async fn concurrent_exchanges_assign_and_end_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let groups = BTreeMap::from([(ann.group, Role::Admin), (lab, Role::Write)]);
    let new = || NewWorker { groups: groups.clone(), tags: tag_set("gpu"), ..harness.new_worker(&ann) };
    let workers =
        [harness.register(&new()).await, harness.register(&new()).await, harness.register(&new()).await];
    let batch: Vec<_> = (0..300)
        .map(|number| {
            let group = if number % 3 == 0 { lab } else { ann.group };
            NewTask { tags: tag_set(if number % 2 == 0 { "gpu" } else { "" }), ..harness.task(group) }
        })
        .collect();
    harness.submit(&ann, &batch).await;
    // Each coordinator serves all agents; each agent ends the tasks of the previous round.
    let mut held: Vec<Vec<Vec<LeaseKey>>> = vec![vec![Vec::new(); workers.len()]; 3];
    let mut ended = BTreeSet::new();
    for _ in 0..60 {
        let rounds = held.iter().map(|of_coordinator| {
            let batch: Vec<Arc<Exchange>> = workers
                .iter()
                .zip(of_coordinator)
                .map(|(worker, keys)| {
                    let ended = keys.iter().copied().map(finished).collect();
                    Exchange { ended, want: 5, ..harness.nothing(*worker) }.into()
                })
                .collect();
            let store = harness.store();
            let now = harness.now;
            async move { store.exchange(&batch, now.into()).await.answer() }
        });
        let outcomes = join_all(rounds).await;
        held = outcomes
            .into_iter()
            .map(|outcome| {
                let each = outcome.into_iter().map(|exchanged| {
                    for verdict in &exchanged.verdicts {
                        let Verdict::Committed(uuid) = verdict else { panic!("{verdict:?}") };
                        assert!(ended.insert(*uuid), "ended twice");
                    }
                    work(exchanged).into_iter().map(|one| one.lease).collect()
                });
                each.collect()
            })
            .collect();
        if ended.len() == 300 {
            break;
        }
        harness.pass(Duration::from_millis(10));
    }
    assert_eq!(ended.len(), 300);
}

pub(crate) async fn task_of_an_agent_shows_its_attempt<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = takes(harness, worker, 1).await.remove(0);
    let attempt = Attempt { worker: worker.uuid, epoch: Epoch::FIRST, claimed_at: harness.now };
    assert_eq!(harness.phase(uuid).await, Phase::Running(attempt));
    assert_eq!(harness.commit(Holder::Lease(held.lease), status(0)).await, Completed::NotReported);
}

pub(crate) async fn stop_request_outlives_the_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let agent = harness.register(&NewWorker { slots: Some(4), ..harness.new_worker(&ann) }).await;
    harness.submit(&ann, &[(); 3].map(|()| harness.task(ann.group))).await;
    let held = takes(harness, agent, 3).await;
    for stopped in &held[..2] {
        let asked = harness.request_stop(Actor::System, stopped.uuid).await;
        assert_eq!(asked, StopRequested::Agent(agent.uuid));
    }
    // One task is returned before it started, one is requeued with its worker.
    let returned = vec![held[0].lease];
    harness.exchange_one(Exchange { returned, ..harness.nothing(agent) }).await;
    harness.store().stop_worker(Actor::System, agent.uuid, ShutdownOp::Force, harness.now).await.answer();
    for stopped in &held[..2] {
        let Phase::Ended(ending) = harness.phase(stopped.uuid).await else { panic!("it has not ended") };
        let user =
            TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(TaskResultMessage::UserCancellation) };
        assert_eq!((ending.end, ending.result), (ExecEnd::Cancelled, user));
    }
    assert_eq!(harness.phase(held[2].uuid).await, Phase::Ready, "no stop was requested for it");
}
