//! Claims, reports and commits.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::{Attempt, Ending, ExecEnd, LeaseKey, Phase};
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{Epoch, LeaseToken, Role, TaskState};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Claim, Completed, Completion, EndReport, Holder};
use mitosis_store::ops::tasks::NewTask;
use mitosis_store::ops::workers::NewWorker;
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Claimed, Harness, SECOND, assigned, status, tag_set};

pub(crate) async fn task_runs_from_submission_to_its_end<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    assert_eq!(harness.phase(uuid).await, Phase::Ready);

    harness.pass(SECOND);
    let held = harness.claim_one(worker).await;
    let attempt = Attempt { worker: worker.uuid, epoch: Epoch::FIRST, claimed_at: harness.now };
    assert_eq!(held.task, harness.get(uuid).await);
    assert_eq!(held.task.phase, Phase::Running(attempt));
    assert_eq!(held.task.updated_at, harness.now);

    harness.pass(SECOND);
    let holder = Holder::Lease(held.lease);
    assert_eq!(harness.report(holder, ExecEnd::Finished).await, EndReport::Recorded);
    assert_eq!(harness.phase(uuid).await, Phase::Reported(attempt, ExecEnd::Finished));
    assert_eq!(harness.get(uuid).await.updated_at, harness.now);

    harness.pass(SECOND);
    assert_eq!(harness.commit(holder, status(768)).await, Completed::Committed);
    let ending = Ending {
        end: ExecEnd::Finished,
        result: status(768),
        warnings: Vec::new(),
        reporter: Some(worker.uuid),
        at: harness.now,
    };
    assert_eq!(harness.phase(uuid).await, Phase::Ended(ending));
    assert_eq!(harness.get(uuid).await.updated_at, harness.now);
}

pub(crate) async fn larger_priority_then_older_task_is_claimed_first<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.register(&NewWorker { tags: tag_set("a b c"), ..harness.new_worker(&ann) }).await;
    let waiting =
        [(0, ""), (5, "a"), (i32::MIN, "b"), (5, ""), (0, "a"), (i32::MAX, "c"), (-1, "a b"), (0, "")];
    let batch =
        waiting.map(|(priority, tags)| NewTask { priority, tags: tag_set(tags), ..harness.task(ann.group) });
    let ids = harness.submit(&ann, &batch).await;
    let in_order = [5, 1, 3, 0, 4, 7, 6, 2].map(|at| ids[at].uuid);
    let mut order = Vec::new();
    for count in [1, 3, 2, 10] {
        order.extend(harness.claim(worker, count).await.iter().map(|held| held.task.uuid));
    }
    assert_eq!(order, in_order);
}

pub(crate) async fn worker_claims_tasks_within_its_tags<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker =
        harness.register(&NewWorker { tags: tag_set("gpu linux"), ..harness.new_worker(&ann) }).await;
    let tags = ["", "gpu", "gpu linux", "gpu linux big", "GPU", "arm", "lin"];
    let batch = tags.map(|tags| NewTask { tags: tag_set(tags), ..harness.task(ann.group) });
    harness.submit(&ann, &batch).await;
    let got: Vec<TagSet> = harness.claim(worker, 10).await.into_iter().map(|held| held.task.tags).collect();
    assert_eq!(got, ["", "gpu", "gpu linux"].map(tag_set));
    harness.store().set_worker_tags(Actor::System, worker.uuid, &tag_set("arm"), harness.now).await.answer();
    assert_eq!(harness.claim_one(worker).await.task.tags, tag_set("arm"));
}

pub(crate) async fn worker_claims_tasks_of_groups_with_write<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let mut roles = BTreeMap::new();
    for (name, role) in [
        ("none", None),
        ("reads", Some(Role::Read)),
        ("writes", Some(Role::Write)),
        ("rules", Some(Role::Admin)),
    ] {
        let group = harness.group(&ann, name).await;
        harness.submit(&ann, &[harness.task(group)]).await;
        roles.extend(role.map(|role| (group, role)));
    }
    let worker = harness.register(&NewWorker { groups: roles, ..harness.new_worker(&ann) }).await;
    let got: Vec<String> =
        harness.claim(worker, 10).await.into_iter().map(|held| held.task.group_name).collect();
    assert_eq!(got, ["writes", "rules"]);
}

pub(crate) async fn concurrent_claims_assign_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..100).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    let workers = join_all((0..8).map(|_| harness.worker(&ann))).await;
    let mut claimed = Vec::new();
    for _ in 0..2 {
        claimed.extend(join_all(workers.iter().map(|worker| harness.claim(*worker, 5))).await.concat());
    }
    claimed.extend(harness.claim(workers[0], 100).await);
    let tasks: BTreeSet<Uuid> = claimed.iter().map(|held| held.task.uuid).collect();
    assert_eq!((claimed.len(), tasks.len()), (100, 100));
    assert!(claimed.iter().all(|held| held.lease.epoch == Epoch::FIRST));
}

pub(crate) async fn claim_without_waiting_tasks_is_empty<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    assert!(harness.claim(worker, 5).await.is_empty());
    harness.submit_one(&ann).await;
    assert!(harness.claim(worker, 0).await.is_empty());
    assert_eq!(harness.claim(worker, 5).await.len(), 1);
}

pub(crate) async fn gone_or_draining_worker_claims_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (gone, stopping) = (harness.worker(&ann).await, harness.worker(&ann).await);
    harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
    harness.claim_one(stopping).await;
    harness.store().stop_worker(Actor::System, gone.uuid, ShutdownOp::Force, harness.now).await.answer();
    harness
        .store()
        .stop_worker(Actor::System, stopping.uuid, ShutdownOp::Graceful, harness.now)
        .await
        .answer();
    for (worker, answer) in [(gone, Claimed::WorkerGone), (stopping, Claimed::Stopping)] {
        assert_eq!(harness.ask(worker, 1, harness.token()).await, answer);
    }
    let fetch = harness.store().claim_or_resume(gone.id, harness.token(), harness.now.into()).await.answer();
    assert_eq!(fetch, Claim::WorkerGone);
}

pub(crate) async fn repeated_fetch_resumes_with_the_same_key<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
    let fetch = async |harness: &Harness<B>| {
        assigned(
            harness.store().claim_or_resume(worker.id, harness.token(), harness.now.into()).await.answer(),
        )
    };
    let first = fetch(harness).await;
    harness.pass(SECOND);
    harness.restart().await;
    assert_eq!(fetch(harness).await, first);
    harness.report(Holder::Lease(first[0].lease), ExecEnd::Finished).await;
    let second = fetch(harness).await;
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].task.uuid, first[0].task.uuid, "a reported task is not run again");
}

pub(crate) async fn concurrent_fetches_of_one_worker_claim_one_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let batch: Vec<_> = (0..8).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    let store = harness.store();
    let fetches = (0..8).map(|_| store.claim_or_resume(worker.id, harness.token(), harness.now.into()));
    let given: BTreeSet<Uuid> = join_all(fetches)
        .await
        .into_iter()
        .flat_map(|claim| assigned(claim.answer()))
        .map(|held| held.task.uuid)
        .collect();
    assert_eq!(given.len(), 1);
}

pub(crate) async fn last_report_of_an_end_counts<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    for end in [ExecEnd::Finished, ExecEnd::Finished, ExecEnd::Cancelled] {
        assert_eq!(harness.report(holder, end).await, EndReport::Recorded);
    }
    assert_eq!(harness.commit(holder, status(9)).await, Completed::Committed);
    assert_eq!(harness.phase(uuid).await.state(), TaskState::Cancelled);
}

pub(crate) async fn result_without_reported_end_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let running = harness.phase(uuid).await;
    assert_eq!(harness.commit(Holder::Lease(held.lease), status(0)).await, Completed::NotReported);
    assert_eq!(harness.phase(uuid).await, running);
    harness.finish(&held).await;
}

pub(crate) async fn completions_of_one_batch_are_independent<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit(&ann, &[(); 3].map(|()| harness.task(ann.group))).await;
    let held = harness.claim(worker, 3).await;
    let [first, second, third] = [0, 1, 2].map(|at| Holder::Lease(held[at].lease));
    let completion = |holder, end| Completion { holder, end, result: status(0) };
    let stranger = Holder::Lease(LeaseKey { token: LeaseToken(1), ..held[2].lease });
    let finished = Some(ExecEnd::Finished);
    let all = [
        completion(first, finished),
        completion(stranger, finished),
        completion(second, None),
        completion(first, finished),
        completion(third, finished),
    ];
    let outcomes = harness.store().complete(&all, harness.now).await.answer();
    let expected = [
        Completed::Committed,
        Completed::Stale,
        Completed::NotReported,
        Completed::Replayed,
        Completed::Committed,
    ];
    assert_eq!(outcomes, expected);
    assert!(harness.store().complete(&[], harness.now).await.answer().is_empty());
}

pub(crate) async fn concurrent_completions_commit_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    let completions = (0..16).map(|exit_status| {
        harness.complete(Completion { holder, end: Some(ExecEnd::Finished), result: status(exit_status) })
    });
    let outcomes = join_all(completions).await;
    let committed: Vec<_> = (0..16).filter(|at| outcomes[*at] == Completed::Committed).collect();
    assert_eq!(committed.len(), 1, "{outcomes:?}");
    let replayed = outcomes.iter().filter(|outcome| **outcome == Completed::Replayed).count();
    assert_eq!(replayed, 15, "{outcomes:?}");
    let Phase::Ended(ending) = harness.phase(uuid).await else { panic!("it has not ended") };
    assert_eq!(ending.result.exit_status.0, i32::try_from(committed[0]).unwrap());
}
