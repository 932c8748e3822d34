//! What agents bring and want, many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::task::{Attempt, ExecEnd, LeaseKey, Phase};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_protocol::{Role, TaskResult, TaskResultMessage, TaskState};
use mitosis_store::ops::By;
use mitosis_store::ops::dispatch::{
    Completed, EndReport, Ended, Exchange, Exchanged, FollowUp, Given, Holder, Verdict, Work,
};
use mitosis_store::ops::tasks::{NewTask, StopAsked};
use mitosis_store::ops::workers::{Duties, HeldAttempt, NewWorker};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{Hand, SECOND, Stage, status, words};

fn finished(lease: LeaseKey) -> Ended {
    Ended { lease, end: ExecEnd::Finished, result: status(0), data: None, warnings: Vec::new() }
}

/// What an agent was given.
fn work(exchanged: Exchanged) -> Vec<Work> {
    match exchanged.given {
        Given::Work(work, _) => work,
        other => panic!("the agent was given {other:?}"),
    }
}

async fn takes<B: Backend>(stage: &Stage<B>, hand: Hand, want: usize) -> Vec<Work> {
    work(stage.exchange_one(Exchange { want, ..stage.nothing(hand) }).await)
}

pub(crate) async fn an_end_and_the_next_task_go_together<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (first, second) = (stage.submit_one(&ann).await, stage.submit_one(&ann).await);
    let held = takes(stage, hand, 1).await.remove(0);
    assert_eq!((held.uuid, held.timeout_seconds, held.upstream), (first, 600, None));
    assert_eq!(held.spec, stage.get(first).await.spec);

    stage.pass(SECOND);
    let ended = Ended { result: status(512), ..finished(held.lease) };
    let both = Exchange { ended: vec![ended], want: 1, ..stage.nothing(hand) };
    let exchanged = stage.exchange_one(both.clone()).await;
    assert_eq!(exchanged.verdicts, [Verdict::Committed(first)]);
    assert_eq!(work(exchanged)[0].uuid, second);
    let Phase::Ended(ending) = stage.phase(first).await else { panic!("it is over") };
    assert_eq!((ending.result, ending.reporter, ending.at), (status(512), Some(hand.uuid), stage.now));

    stage.restart().await;
    let again = stage.exchange_one(both).await;
    assert_eq!(again.verdicts, [Verdict::Replayed], "a lost reply costs nothing");
    assert!(work(again).is_empty());
}

pub(crate) async fn work_says_whose_it_is_and_how_urgent<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit(&ann, &[NewTask { priority: 7, ..stage.task(ann.group) }]).await;
    let given = takes(stage, hand, 1).await.remove(0);
    assert_eq!((given.group, given.priority), (ann.group, 7));
}

pub(crate) async fn what_agents_say_counts_for_each_alone<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (one, other, gone) = (stage.hand(&ann).await, stage.hand(&ann).await, stage.hand(&ann).await);
    stage.submit(&ann, &[(); 4].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, one, 3).await;
    let lost = takes(stage, gone, 1).await.remove(0);
    stage.store().stop_worker(By::Site, gone.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    let guessed = LeaseKey { token: 1, ..held[2].lease };
    let batch = [
        Exchange {
            ended: vec![finished(held[0].lease), finished(guessed), finished(held[0].lease)],
            ..stage.nothing(one)
        },
        // Somebody else's key does not count, even if it is right.
        Exchange { ended: vec![finished(held[1].lease)], want: 5, ..stage.nothing(other) },
        Exchange { ended: vec![finished(lost.lease)], want: 5, ..stage.nothing(gone) },
    ];
    let outcome = stage.store().exchange(&batch, stage.now.into()).await.unwrap();
    let verdicts: Vec<_> = outcome.each.iter().map(|one| one.verdicts.clone()).collect();
    assert_eq!(
        verdicts,
        [
            vec![Verdict::Committed(held[0].uuid), Verdict::Stale, Verdict::Replayed],
            vec![Verdict::Stale],
            vec![Verdict::Stale],
        ]
    );
    assert_eq!(outcome.each[2].given, Given::WorkerGone);
    assert_eq!(work(outcome.each[1].clone())[0].uuid, lost.uuid, "the lost one's task is given on");
    for (task, state) in
        [(&held[0], TaskState::Finished), (&held[1], TaskState::Running), (&held[2], TaskState::Running)]
    {
        assert_eq!(stage.phase(task.uuid).await.state(), state);
    }
}

pub(crate) async fn a_few_tasks_are_spread_over_those_who_ask_together<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hands = [stage.hand(&ann).await, stage.hand(&ann).await, stage.hand(&ann).await];
    stage.submit(&ann, &[(); 4].map(|()| stage.task(ann.group))).await;
    let batch: Vec<_> = hands.iter().map(|hand| Exchange { want: 64, ..stage.nothing(*hand) }).collect();
    let outcome = stage.store().exchange(&batch, stage.now.into()).await.unwrap();
    let (counts, classes): (Vec<_>, BTreeSet<_>) = outcome
        .each
        .into_iter()
        .map(|one| match one.given {
            Given::Work(work, class) => (work.len(), class.0),
            other => panic!("{other:?}"),
        })
        .unzip();
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(classes.len(), 1, "they may run the same");
}

pub(crate) async fn agents_of_two_kinds_that_ask_together_never_get_the_same_task<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let plain = stage.hand(&ann).await;
    let tagged = stage.register(&NewWorker { tags: words("gpu"), ..stage.new_worker(&ann) }).await;
    // First fewer tasks than they want, then more, then some that only one of them may run.
    for (tags, tasks, wanted) in [("", 1, 5), ("", 7, 2), ("gpu", 3, 5)] {
        let task = || NewTask { tags: words(tags), ..stage.task(ann.group) };
        stage.submit(&ann, &(0..tasks).map(|_| task()).collect::<Vec<_>>()).await;
        let batch = [plain, tagged].map(|hand| Exchange { want: wanted, ..stage.nothing(hand) });
        let outcome = stage.store().exchange(&batch, stage.now.into()).await.unwrap();
        let mut seen = BTreeSet::new();
        for (hand, exchanged) in [plain, tagged].into_iter().zip(outcome.each) {
            for given in work(exchanged) {
                assert!(seen.insert(given.uuid), "it was given twice");
                let Phase::Running(attempt) = stage.phase(given.uuid).await else { panic!("it is held") };
                assert_eq!(attempt.worker, hand.uuid, "it is held by the one that was told");
                let ended = vec![finished(given.lease)];
                let exchanged = stage.exchange_one(Exchange { ended, ..stage.nothing(hand) }).await;
                assert_eq!(exchanged.verdicts, [Verdict::Committed(given.uuid)]);
            }
        }
        assert_eq!(seen.len(), tasks.min(2 * wanted), "{tags}: {wanted} of {tasks}");
        takes(stage, tagged, 64).await;
    }
}

pub(crate) async fn groups_take_turns_and_priority_counts_within<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let lab = stage.group(&ann, "lab").await;
    let groups = BTreeMap::from([(ann.group, Role::Admin), (lab, Role::Write)]);
    let hand = stage.register(&NewWorker { groups, tags: words("gpu"), ..stage.new_worker(&ann) }).await;
    let task = |group, priority, tags| NewTask { priority, tags: words(tags), ..stage.task(group) };
    let own: Vec<_> = (0..20).map(|_| task(ann.group, 9, "")).collect();
    stage.submit(&ann, &own).await;
    stage.submit(&ann, &[task(lab, 0, ""), task(lab, 5, "gpu"), task(lab, 0, "gpu")]).await;
    let mut given = takes(stage, hand, 1).await;
    given.extend(takes(stage, hand, 7).await);
    let mut order = Vec::new();
    for one in &given {
        let task = stage.get(one.uuid).await;
        order.push((task.group_name, task.priority));
    }
    let lab: Vec<_> =
        order.iter().filter(|(group, _)| group == "lab").map(|(_, priority)| *priority).collect();
    assert_eq!(lab, [5, 0, 0], "within a group the larger priority goes first");
    let groups: Vec<_> = order.iter().map(|(group, _)| group.as_str()).collect();
    assert_eq!(groups, ["ann", "lab", "ann", "lab", "ann", "lab", "ann", "ann"]);
}

pub(crate) async fn what_was_not_started_goes_back_to_its_place<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (hand, other) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let ids = stage.submit(&ann, &[(); 3].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, hand, 2).await;
    let keys: Vec<_> = held.iter().map(|one| one.lease).collect();
    let foreign = Exchange { returned: keys.clone(), ..stage.nothing(other) };
    assert!(
        !stage.store().exchange(&[foreign], stage.now.into()).await.unwrap().made_ready,
        "not its to return"
    );
    assert_eq!(stage.phase(ids[0].uuid).await.state(), TaskState::Running);

    let returned = Exchange { returned: keys.clone(), ..stage.nothing(hand) };
    let outcome = stage.store().exchange(&[returned.clone(), returned], stage.now.into()).await.unwrap();
    assert!(outcome.made_ready);
    assert_eq!(stage.phase(ids[0].uuid).await, Phase::Ready);
    let again = takes(stage, other, 3).await;
    assert_eq!(again.iter().map(|one| one.uuid).collect::<Vec<_>>(), ids.map_uuids());
    assert_eq!(again[0].lease.epoch, 2, "another attempt");
    assert_eq!(stage.scalar("SELECT CAST(sum(losses) AS BIGINT) FROM lease").await, 0, "nothing was lost");
    let late = Exchange { ended: vec![finished(keys[0])], ..stage.nothing(hand) };
    assert_eq!(stage.exchange_one(late).await.verdicts, [Verdict::Stale]);
}

trait MapUuids {
    fn map_uuids(&self) -> Vec<Uuid>;
}

impl MapUuids for Vec<mitosis_store::ops::tasks::TaskIds> {
    fn map_uuids(&self) -> Vec<Uuid> {
        self.iter().map(|ids| ids.uuid).collect()
    }
}

pub(crate) async fn an_agent_that_shall_stop_gets_nothing_and_goes_with_its_last_task<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit(&ann, &[(); 4].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, hand, 3).await;
    stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Graceful, stage.now).await.unwrap();
    let first = Exchange { ended: vec![finished(held[0].lease)], want: 1, ..stage.nothing(hand) };
    assert_eq!(stage.exchange_one(first).await.given, Given::Stopping);
    let rest = Exchange {
        ended: vec![finished(held[1].lease)],
        returned: vec![held[2].lease],
        want: 1,
        ..stage.nothing(hand)
    };
    assert_eq!(stage.exchange_one(rest).await.given, Given::Stopping);
    assert_eq!(stage.store().worker(hand.uuid).await.unwrap(), None);
    assert_eq!(stage.phase(held[2].uuid).await, Phase::Ready);
    let late = Exchange { want: 1, ..stage.nothing(hand) };
    assert_eq!(stage.exchange_one(late).await.given, Given::WorkerGone);
}

pub(crate) async fn an_agent_whose_owner_is_locked_out_is_nobody<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit(&ann, &[stage.task(ann.group), stage.task(ann.group)]).await;
    let held = takes(stage, hand, 1).await.remove(0);
    stage.store().set_account_state("ann", AccountState::Locked, stage.now).await.unwrap();
    let both = Exchange { ended: vec![finished(held.lease)], want: 1, ..stage.nothing(hand) };
    let exchanged = stage.exchange_one(both).await;
    assert_eq!((&exchanged.verdicts[..], exchanged.given), (&[Verdict::Stale][..], Given::WorkerGone));
    assert_eq!(stage.phase(held.uuid).await.state(), TaskState::Running);
}

pub(crate) async fn a_follow_up_is_told_to_have_become_ready<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit(&ann, &[stage.task(ann.group), stage.task(ann.group)]).await;
    let held = takes(stage, hand, 2).await;
    let holder = Holder::Lease(held[0].lease);
    assert_eq!(stage.report(holder, ExecEnd::Finished).await, EndReport::Noted);
    let next = stage.task(ann.group);
    let made = stage.store().submit_follow_up(holder, &next, stage.now).await.unwrap();
    assert!(matches!(made, FollowUp::Created(_)), "{made:?}");
    let plain = Exchange { ended: vec![finished(held[1].lease)], ..stage.nothing(hand) };
    assert!(!stage.store().exchange(&[plain], stage.now.into()).await.unwrap().made_ready);
    // The end that was reported before counts.
    let cancelled = Ended { end: ExecEnd::Cancelled, ..finished(held[0].lease) };
    let last = Exchange { ended: vec![cancelled], want: 1, ..stage.nothing(hand) };
    let outcome = stage.store().exchange(&[last], stage.now.into()).await.unwrap();
    assert!(outcome.made_ready);
    assert_eq!(work(outcome.each[0].clone())[0].uuid, next.uuid, "and it is given out at once");
    assert_eq!(stage.phase(held[0].uuid).await.state(), TaskState::Finished);
}

pub(crate) async fn the_small_result_of_a_task_is_kept<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit_one(&ann).await;
    let held = takes(stage, hand, 1).await.remove(0);
    let data = Some(r#"{"loss":0.25}"#.to_owned());
    let ended = vec![Ended { data, ..finished(held.lease) }];
    stage.exchange_one(Exchange { ended, ..stage.nothing(hand) }).await;
    assert_eq!(stage.scalar("SELECT CAST(length(CAST(data AS TEXT)) AS BIGINT) FROM done").await, 13);
}

pub(crate) async fn work_whose_reply_was_lost_can_be_had_again_by_its_worker<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let (hand, other) = (stage.hand(&ann).await, stage.hand(&ann).await);
    stage.submit(&ann, &[(); 3].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, hand, 3).await;
    let tasks: Vec<_> = held[1..].iter().map(|one| one.lease.task).collect();
    assert_eq!(stage.store().work_in_hand(hand.id, &tasks).await.unwrap(), held[1..]);
    assert!(stage.store().work_in_hand(other.id, &tasks).await.unwrap().is_empty());
}

pub(crate) async fn an_agent_learns_what_it_holds_and_what_to_stop<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let agent = stage.register(&NewWorker { slots: Some(4), ..stage.new_worker(&ann) }).await;
    let published = stage.hand(&ann).await;
    assert_eq!(stage.store().worker(agent.uuid).await.unwrap().unwrap().slots, Some(4));
    stage.submit(&ann, &[(); 4].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, agent, 2).await;
    let old = takes(stage, published, 1).await.remove(0);
    let waiting = takes(stage, agent, 0).await;
    assert!(waiting.is_empty());

    let ask = async |uuid: Uuid| stage.store().ask_to_stop(By::Site, uuid, stage.now).await.unwrap();
    assert_eq!(ask(held[1].uuid).await, StopAsked::Of(agent.uuid));
    assert_eq!(ask(held[1].uuid).await, StopAsked::Of(agent.uuid), "again changes nothing");
    assert_eq!(ask(old.uuid).await, StopAsked::OfPublished);
    assert_eq!(ask(Uuid::nil()).await, StopAsked::NotRunning);

    let attempt = |one: &Work, stop_asked| HeldAttempt {
        task: one.lease.task,
        epoch: 1,
        claimed_at: stage.now,
        stop_asked,
    };
    let duties = stage.store().duties(&[agent.id, published.id]).await.unwrap();
    let expected = vec![attempt(&held[0], false), attempt(&held[1], true)];
    assert_eq!(duties[&agent.id], Duties { state: WorkerState::Normal, held: expected });
    assert_eq!(duties[&published.id].held, [attempt(&old, false)]);
    stage.store().stop_worker(By::Site, agent.uuid, ShutdownOp::Graceful, stage.now).await.unwrap();
    stage.store().stop_worker(By::Site, published.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    let duties = stage.store().duties(&[agent.id, published.id]).await.unwrap();
    assert_eq!(duties[&agent.id].state, WorkerState::GracefulShutdown);
    assert!(!duties.contains_key(&published.id));
}

pub(crate) async fn however_many_exchange_at_once_each_task_is_given_and_ended_once<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let lab = stage.group(&ann, "lab").await;
    let groups = BTreeMap::from([(ann.group, Role::Admin), (lab, Role::Write)]);
    let new = || NewWorker { groups: groups.clone(), tags: words("gpu"), ..stage.new_worker(&ann) };
    let hands = [stage.register(&new()).await, stage.register(&new()).await, stage.register(&new()).await];
    let batch: Vec<_> = (0..300)
        .map(|number| {
            let group = if number % 3 == 0 { lab } else { ann.group };
            NewTask { tags: words(if number % 2 == 0 { "gpu" } else { "" }), ..stage.task(group) }
        })
        .collect();
    stage.submit(&ann, &batch).await;
    // Each coordinator speaks for all agents; each agent ends what it was given in the round before.
    let mut held: Vec<Vec<Vec<LeaseKey>>> = vec![vec![Vec::new(); hands.len()]; 3];
    let mut ended = BTreeSet::new();
    for _ in 0..60 {
        let rounds = held.iter().map(|of_coordinator| {
            let batch: Vec<Exchange> = hands
                .iter()
                .zip(of_coordinator)
                .map(|(hand, keys)| Exchange {
                    ended: keys.iter().copied().map(finished).collect(),
                    want: 5,
                    ..stage.nothing(*hand)
                })
                .collect();
            let store = stage.store();
            let now = stage.now;
            async move { store.exchange(&batch, now.into()).await.unwrap() }
        });
        let outcomes = join_all(rounds).await;
        held = outcomes
            .into_iter()
            .map(|outcome| {
                let each = outcome.each.into_iter().map(|exchanged| {
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
        stage.pass(Duration::from_millis(10));
    }
    assert_eq!(ended.len(), 300);
}

pub(crate) async fn a_task_of_an_agent_shows_its_attempt_like_any_other<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    let held = takes(stage, hand, 1).await.remove(0);
    let attempt = Attempt { worker: hand.uuid, epoch: 1, claimed_at: stage.now };
    assert_eq!(stage.phase(uuid).await, Phase::Running(attempt));
    assert_eq!(stage.commit(Holder::Lease(held.lease), status(0)).await, Completed::NotReported);
}

pub(crate) async fn a_stop_that_was_asked_for_holds_though_the_worker_goes<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let agent = stage.register(&NewWorker { slots: Some(4), ..stage.new_worker(&ann) }).await;
    stage.submit(&ann, &[(); 3].map(|()| stage.task(ann.group))).await;
    let held = takes(stage, agent, 3).await;
    for stopped in &held[..2] {
        let asked = stage.store().ask_to_stop(By::Site, stopped.uuid, stage.now).await.unwrap();
        assert_eq!(asked, StopAsked::Of(agent.uuid));
    }
    // One goes back before it started, one with its worker.
    let returned = vec![held[0].lease];
    stage.exchange_one(Exchange { returned, ..stage.nothing(agent) }).await;
    stage.store().stop_worker(By::Site, agent.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    for stopped in &held[..2] {
        let Phase::Ended(ending) = stage.phase(stopped.uuid).await else { panic!("it is over") };
        let user = TaskResult { exit_status: 0, msg: Some(TaskResultMessage::UserCancellation) };
        assert_eq!((ending.end, ending.result), (ExecEnd::Cancelled, user));
    }
    assert_eq!(stage.phase(held[2].uuid).await, Phase::Ready, "nobody asked for that one");
}
