//! Cancellation of waiting tasks.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mitosis_domain::comparison::{Comparison, Operator};
use mitosis_domain::task::{Ending, ExecEnd, Phase};
use mitosis_protocol::{TaskResult, TaskResultMessage, TaskState, Timestamp, WaitStatus};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Completion, FollowUp, Holder};
use mitosis_store::ops::query::TaskQuery;
use mitosis_store::ops::tasks::{CANCEL_BATCH, CancelSelection, NewTask};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, SECOND, status, tag_set};

async fn cancel<B: Backend>(harness: &Harness<B>, selection: CancelSelection) -> Vec<Uuid> {
    harness.store().cancel(Actor::System, &selection, harness.now).await.answer()
}

fn by_user(at: Timestamp) -> Phase {
    let result =
        TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(TaskResultMessage::UserCancellation) };
    Phase::Ended(Ending { end: ExecEnd::Cancelled, result, warnings: Vec::new(), reporter: None, at })
}

pub(crate) async fn cancelled_task_ends_at_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    harness.pass(SECOND);
    let at = harness.now;
    assert_eq!(cancel(harness, CancelSelection::Ready(vec![uuid])).await, [uuid]);
    assert_eq!(harness.phase(uuid).await, by_user(at));
    assert_eq!(harness.get(uuid).await.updated_at, at);
    harness.pass(SECOND);
    assert!(cancel(harness, CancelSelection::Ready(vec![uuid])).await.is_empty(), "again");
    assert!(harness.claim(worker, 1).await.is_empty());
    assert_eq!(harness.phase(uuid).await, by_user(at), "it never changes again");
}

pub(crate) async fn tasks_that_do_not_wait_are_skipped<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (past, running, ready) =
        (harness.submit_one(&ann).await, harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let held = harness.claim(worker, 2).await;
    harness.finish(&held[0]).await;
    let (ended, held) = (harness.phase(past).await, harness.phase(running).await);
    let named = vec![past, running, ready, ready, harness.uuid()];
    assert_eq!(cancel(harness, CancelSelection::Waiting(named)).await, [ready]);
    assert_eq!(harness.phase(past).await, ended);
    assert_eq!(harness.phase(running).await, held);
}

pub(crate) async fn follow_up_is_cancelled_unless_ready_is_required<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let follow_up = harness.task(ann.group);
    let made = harness.store().submit_follow_up(holder, &follow_up, harness.now).await.answer();
    assert!(matches!(made, FollowUp::Created(_)), "{made:?}");

    assert!(cancel(harness, CancelSelection::Ready(vec![follow_up.uuid])).await.is_empty());
    assert_eq!(harness.phase(follow_up.uuid).await, Phase::Pending);
    assert_eq!(cancel(harness, CancelSelection::Waiting(vec![follow_up.uuid])).await, [follow_up.uuid]);
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Committed);
    assert_eq!(harness.phase(follow_up.uuid).await, by_user(harness.now), "the commit does not wake it");
    assert!(harness.claim(worker, 1).await.is_empty());
}

pub(crate) async fn query_cancels_its_waiting_matches<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    let labelled = |group, label: &str| NewTask { labels: tag_set(label), ..harness.task(group) };
    let batch = [
        labelled(ann.group, "night"),
        labelled(ann.group, "night"),
        labelled(ann.group, "day"),
        labelled(bob.group, "night"),
    ];
    let ids: Vec<Uuid> = harness.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    let running = harness.claim_one(worker).await;
    assert_eq!(running.task.uuid, ids[0]);
    let query = TaskQuery { labels: tag_set("night"), ..TaskQuery::all_of(ann.group) };
    assert_eq!(cancel(harness, CancelSelection::Matching(query)).await, [ids[1]]);
    for uuid in [ids[2], ids[3]] {
        assert_eq!(harness.phase(uuid).await, Phase::Ready);
    }
}

pub(crate) async fn query_for_states_that_do_not_wait_cancels_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    let all = TaskQuery::all_of(ann.group);
    let exit_status = Some(Comparison { operator: Operator::NotEqual, number: 5 });
    for query in [
        TaskQuery { states: Some(vec![TaskState::Running, TaskState::Finished]), ..all.clone() },
        TaskQuery { states: Some(vec![TaskState::Pending]), ..all.clone() },
        TaskQuery { states: Some(Vec::new()), ..all.clone() },
        TaskQuery { exit_status, ..all.clone() },
        TaskQuery { reporter: Some(harness.uuid()), ..all.clone() },
    ] {
        let cancelled = cancel(harness, CancelSelection::Matching(query.clone())).await;
        assert!(cancelled.is_empty(), "{query:?}");
        assert_eq!(harness.phase(uuid).await, Phase::Ready);
    }
    let states = Some(vec![TaskState::Ready, TaskState::Finished]);
    let query = TaskQuery { states, ..all };
    assert_eq!(cancel(harness, CancelSelection::Matching(query)).await, [uuid]);
}

pub(crate) async fn concurrent_cancellations_cancel_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..50).map(|_| harness.task(ann.group)).collect();
    let mut named: Vec<Uuid> = harness.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    let forwards = CancelSelection::Waiting(named.clone());
    named.reverse();
    let backwards = CancelSelection::Waiting(named.clone());
    let matching = CancelSelection::Matching(TaskQuery::all_of(ann.group));
    let all = [forwards.clone(), backwards.clone(), matching.clone(), backwards, forwards, matching];
    let cancelled = join_all(all.map(|selection| cancel(harness, selection))).await.concat();
    assert_eq!(cancelled.len(), 50, "no task twice");
    assert_eq!(BTreeSet::from_iter(cancelled), BTreeSet::from_iter(named));
}

/// Each task is either claimed or cancelled, by one caller only.
pub(crate) async fn task_is_either_claimed_or_cancelled<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let batch: Vec<_> = (0..60).map(|_| harness.task(ann.group)).collect();
    let named: Vec<Uuid> = harness.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    let cancellations = named.chunks(5).map(|some| cancel(harness, CancelSelection::Ready(some.to_vec())));
    let claims = (0..12).map(|_| harness.claim(worker, 5));
    let (claimed, cancelled) = futures_util::future::join(join_all(claims), join_all(cancellations)).await;
    let (claimed, cancelled) = (claimed.concat(), cancelled.concat());
    let outcomes: BTreeSet<Uuid> =
        claimed.iter().map(|held| held.task.uuid).chain(cancelled.iter().copied()).collect();
    assert_eq!(outcomes.len(), claimed.len() + cancelled.len(), "no task went both ways");
    for uuid in cancelled {
        assert_eq!(harness.phase(uuid).await, by_user(harness.now));
    }
    for held in &claimed {
        harness.finish(held).await;
    }
}

pub(crate) async fn cancellation_never_replaces_a_commit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let batch: Vec<_> = (0..20).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    let held = harness.claim(worker, 20).await;
    let named: Vec<Uuid> = held.iter().map(|held| held.task.uuid).collect();
    let commits = held.iter().map(|held| {
        let holder = Holder::Lease(held.lease);
        harness.complete(Completion { holder, end: Some(ExecEnd::Finished), result: status(0) })
    });
    let cancellation = cancel(harness, CancelSelection::Waiting(named.clone()));
    let (committed, cancelled) = futures_util::future::join(join_all(commits), cancellation).await;
    assert!(committed.iter().all(|outcome| *outcome == Completed::Committed), "{committed:?}");
    assert!(cancelled.is_empty());
    for uuid in named {
        assert_eq!(harness.phase(uuid).await.state(), TaskState::Finished);
    }
}

pub(crate) async fn cancellation_by_filter_is_bounded<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..=CANCEL_BATCH).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    let matching = || CancelSelection::Matching(TaskQuery::all_of(ann.group));
    for left in [CANCEL_BATCH, 1, 0] {
        assert_eq!(cancel(harness, matching()).await.len() as u64, left);
    }
}
