//! Submission, lookup and changes of tasks.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mitosis_domain::ids::GroupId;
use mitosis_domain::limits;
use mitosis_domain::task::{Phase, Task};
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::{Epoch, TaskSpec};
use mitosis_store::ops::Actor;
use mitosis_store::ops::query::TaskQuery;
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask, Submission, TaskChange, TaskIds};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, LONG, Person, SECOND, tag_set, timeout};

fn key(text: &str, digest: u8) -> IdempotencyKey {
    IdempotencyKey { key: text.to_owned(), digest: [digest; 32], refused: vec![] }
}

async fn submit_with_key<B: Backend>(
    harness: &Harness<B>,
    creator: &Person,
    tasks: &[NewTask],
    key: &IdempotencyKey,
) -> Submission {
    harness.store().submit(creator.user, tasks, Some(key), harness.now).await.answer()
}

async fn count<B: Backend>(harness: &Harness<B>, owner: &Person) -> u64 {
    harness.store().count_tasks(&TaskQuery::all_of(owner.group), u64::MAX, LONG).await.unwrap().at_least
}

/// A task with a value in every field.
fn elaborate<B: Backend>(harness: &Harness<B>, owner: &Person) -> NewTask {
    let plain = harness.task(owner.group);
    let spec = TaskSpec {
        args: vec!["sh".to_owned(), "-c".to_owned(), "echo \"'$HOME\\' %_\" 🦀".to_owned()],
        envs: [("KEY".to_owned(), "a=b\nc".to_owned())].into(),
        terminal_output: true,
        params: [("learning rate".to_owned(), "1e-3".to_owned())].into(),
        ..plain.spec
    };
    NewTask {
        tags: tag_set("gpu linux"),
        labels: tag_set("night 100% a_b"),
        priority: -7,
        timeout: timeout(12),
        spec,
        ..plain
    }
}

pub(crate) async fn task_is_stored_as_submitted<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let new = elaborate(harness, &ann);
    let ids = harness.submit(&ann, std::slice::from_ref(&new)).await;
    assert_eq!(ids, [TaskIds { uuid: new.uuid, number: 1 }]);
    harness.restart().await;
    let kept = harness.get(new.uuid).await;
    let expected = Task {
        id: kept.id,
        uuid: new.uuid,
        group: ann.group,
        group_name: ann.name,
        number: 1,
        creator: "ann".to_owned(),
        tags: new.tags,
        labels: new.labels,
        timeout: timeout(12),
        priority: -7,
        spec: new.spec,
        created_at: harness.now,
        updated_at: harness.now,
        upstream: None,
        downstream: None,
        repeats: None,
        attempt: Epoch::ZERO,
        phase: Phase::Ready,
    };
    assert_eq!(kept, expected);
    assert!(harness.store().task(harness.uuid()).await.unwrap().is_none());
}

pub(crate) async fn numbers_increase_within_each_group<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let batch = [ann.group, bob.group, ann.group, ann.group].map(|group| harness.task(group));
    let numbers = |ids: Vec<TaskIds>| ids.iter().map(|ids| ids.number).collect::<Vec<_>>();
    assert_eq!(numbers(harness.submit(&ann, &batch).await), [1, 1, 2, 3]);
    let batch = [bob.group, ann.group].map(|group| harness.task(group));
    assert_eq!(numbers(harness.submit(&ann, &batch).await), [2, 4]);
    assert_eq!(harness.store().group("ann").await.unwrap().unwrap().task_count, 4);
}

pub(crate) async fn concurrent_submissions_get_distinct_numbers<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batches: Vec<[NewTask; 3]> = (0..32).map(|_| [(); 3].map(|()| harness.task(ann.group))).collect();
    let ids = join_all(batches.iter().map(|batch| harness.submit(&ann, batch))).await;
    let numbers: BTreeSet<i64> = ids.iter().flatten().map(|ids| ids.number).collect();
    assert_eq!(numbers, (1..=96).collect());
}

pub(crate) async fn batch_with_an_invalid_task_stores_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let there = harness.submit_one(&ann).await;
    let batch = [harness.task(ann.group), NewTask { uuid: there, ..harness.task(ann.group) }];
    let retry = key("retry", 1);
    let refused = harness.store().submit(ann.user, &batch, Some(&retry), harness.now).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(count(harness, &ann).await, 1);
    let ids = harness.submit(&ann, &[harness.task(ann.group)]).await;
    assert_eq!(ids[0].number, 2, "no number was used up");
    let good = [harness.task(ann.group)];
    let outcome = submit_with_key(harness, &ann, &good, &retry).await;
    assert!(matches!(outcome, Submission::Accepted(_)), "{outcome:?}");
}

pub(crate) async fn thousands_of_tasks_are_submitted_in_one_batch<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let tags = ["", "gpu", "gpu linux", "arm"];
    let batch: Vec<NewTask> = (0..3_000)
        .map(|at| NewTask {
            tags: tag_set(tags[at % 4]),
            labels: tag_set("sweep"),
            ..harness.task(ann.group)
        })
        .collect();
    let nightly = key("nightly", 1);
    let Submission::Accepted(ids) = submit_with_key(harness, &ann, &batch, &nightly).await else {
        panic!("the batch was not accepted")
    };
    let expected: Vec<TaskIds> =
        batch.iter().zip(1..).map(|(task, number)| TaskIds { uuid: task.uuid, number }).collect();
    assert_eq!(ids, expected);

    harness.restart().await;
    harness.pass(SECOND);
    let again: Vec<NewTask> =
        batch.iter().map(|task| NewTask { uuid: harness.uuid(), ..task.clone() }).collect();
    let expected = expected.into_iter().map(Some).collect();
    assert_eq!(submit_with_key(harness, &ann, &again, &nightly).await, Submission::Replayed(expected));
    assert_eq!(count(harness, &ann).await, 3_000);
}

pub(crate) async fn key_belongs_to_one_request_of_one_user<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let task = [harness.task(ann.group)];
    let first = submit_with_key(harness, &ann, &task, &key("k", 1)).await;
    assert!(matches!(first, Submission::Accepted(_)), "{first:?}");
    let other = [harness.task(ann.group)];
    assert_eq!(submit_with_key(harness, &ann, &other, &key("k", 2)).await, Submission::KeyReused);
    assert_eq!(count(harness, &ann).await, 1);
    for (who, key) in [(&ann, key("K", 1)), (&bob, key("k", 1))] {
        let outcome = submit_with_key(harness, who, &[harness.task(who.group)], &key).await;
        assert!(matches!(outcome, Submission::Accepted(_)), "{outcome:?}");
    }
}

pub(crate) async fn concurrent_requests_with_one_key_submit_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batches: Vec<[NewTask; 2]> = (0..16).map(|_| [(); 2].map(|()| harness.task(ann.group))).collect();
    let same = key("same", 9);
    let outcomes = join_all(batches.iter().map(|batch| submit_with_key(harness, &ann, batch, &same))).await;
    let accepted: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Submission::Accepted(ids) => Some(ids.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(accepted.len(), 1, "{outcomes:?}");
    let replayed = Submission::Replayed(accepted[0].iter().copied().map(Some).collect());
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == replayed).count(), 15, "{outcomes:?}");
    assert_eq!(count(harness, &ann).await, 2);
}

pub(crate) async fn waiting_task_can_be_changed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    let before = harness.get(uuid).await;
    harness.pass(SECOND);
    let change = TaskChange { priority: Some(9), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, uuid, &change, harness.now).await.answer());
    let after = harness.get(uuid).await;
    assert_eq!(after, Task { priority: 9, updated_at: harness.now, ..before });

    let elaborate = elaborate(harness, &ann);
    let change = TaskChange {
        tags: Some(elaborate.tags.clone()),
        timeout: Some(timeout(12)),
        priority: None,
        spec: Some(elaborate.spec.clone()),
    };
    assert!(harness.store().change_task(Actor::System, uuid, &change, harness.now).await.answer());
    let expected = Task { tags: elaborate.tags, timeout: timeout(12), spec: elaborate.spec, ..after };
    assert_eq!(harness.get(uuid).await, expected);
}

pub(crate) async fn changed_task_moves_to_its_new_lane<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second, third) =
        (harness.submit_one(&ann).await, harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let ahead = TaskChange { priority: Some(1), ..TaskChange::default() };
    let elsewhere = TaskChange { tags: Some(tag_set("gpu")), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, third, &ahead, harness.now).await.answer());
    assert!(harness.store().change_task(Actor::System, first, &elsewhere, harness.now).await.answer());
    let order: Vec<_> = harness.claim(worker, 3).await.iter().map(|held| held.task.uuid).collect();
    assert_eq!(order, [third, second]);
}

pub(crate) async fn only_a_waiting_task_can_be_changed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let change = TaskChange { priority: Some(9), ..TaskChange::default() };
    let try_it =
        async || harness.store().change_task(Actor::System, uuid, &change, harness.now).await.answer();
    assert!(!try_it().await, "Running");
    harness.finish(&held).await;
    assert!(!try_it().await, "Finished");
    assert_eq!(harness.get(uuid).await.priority, 0);
    assert!(
        !harness.store().change_task(Actor::System, harness.uuid(), &change, harness.now).await.answer(),
        "unknown"
    );
}

pub(crate) async fn labels_can_be_replaced_in_any_state<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let relabel = async |harness: &Harness<B>, text: &str| {
        assert!(
            harness.store().set_task_labels(Actor::System, uuid, &tag_set(text), harness.now).await.unwrap()
        );
        assert_eq!(harness.get(uuid).await.labels, tag_set(text));
        let query = TaskQuery { labels: tag_set(text), ..TaskQuery::all_of(ann.group) };
        assert_eq!(harness.store().count_tasks(&query, u64::MAX, LONG).await.unwrap().at_least, 1, "{text}");
    };
    relabel(harness, "ready").await;
    let held = harness.claim_one(worker).await;
    relabel(harness, "running twice").await;
    harness.finish(&held).await;
    harness.pass(SECOND);
    relabel(harness, "over twice").await;
    assert_eq!(harness.get(uuid).await.updated_at, harness.now);
    let old = TaskQuery { labels: tag_set("running"), ..TaskQuery::all_of(ann.group) };
    assert_eq!(harness.store().count_tasks(&old, u64::MAX, LONG).await.unwrap().at_least, 0);
    assert!(
        !harness
            .store()
            .set_task_labels(Actor::System, harness.uuid(), &tag_set("x"), harness.now)
            .await
            .unwrap()
    );
}

pub(crate) async fn empty_batch_is_accepted<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let empty = key("empty", 1);
    assert_eq!(submit_with_key(harness, &ann, &[], &empty).await, Submission::Accepted(Vec::new()));
    assert_eq!(submit_with_key(harness, &ann, &[], &empty).await, Submission::Accepted(Vec::new()));
    assert_eq!(harness.store().group("ann").await.unwrap().unwrap().task_count, 0);
}

pub(crate) async fn repeated_request_accepts_previously_refused_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let task = |_| harness.task(ann.group);
    let tasks: Vec<NewTask> = (0..4).map(task).collect();
    let ids = |at: usize, number| Some(TaskIds { uuid: tasks[at].uuid, number });
    let key = |refused| IdempotencyKey { refused, ..key("k", 1) };
    // All tasks were refused, so the key can be used again.
    let nothing = submit_with_key(harness, &ann, &[], &key(vec![0, 1, 2, 3])).await;
    assert_eq!(nothing, Submission::Accepted(vec![]));
    let first = submit_with_key(harness, &ann, &tasks[1..2], &key(vec![0, 2, 3])).await;
    assert_eq!(first, Submission::Accepted(vec![ids(1, 1).unwrap()]));
    // The accepted task is refused by now, which changes nothing.
    let same = submit_with_key(harness, &ann, &[], &key(vec![0, 1, 2, 3])).await;
    assert_eq!(same, Submission::Replayed(vec![None, ids(1, 1), None, None]));
    let more = [tasks[0].clone(), harness.task(ann.group), tasks[3].clone()];
    let more = submit_with_key(harness, &ann, &more, &key(vec![2])).await;
    assert_eq!(more, Submission::Replayed(vec![ids(0, 2), ids(1, 1), None, ids(3, 3)]));
    let all: Vec<NewTask> = (0..4).map(task).collect();
    let last = [all[0].clone(), all[1].clone(), tasks[2].clone(), all[3].clone()];
    let last = submit_with_key(harness, &ann, &last, &key(vec![])).await;
    assert_eq!(last, Submission::Replayed(vec![ids(0, 2), ids(1, 1), ids(2, 4), ids(3, 3)]));
    assert_eq!(count(harness, &ann).await, 4);
    let other = IdempotencyKey { digest: [2; 32], ..key(vec![]) };
    assert_eq!(submit_with_key(harness, &ann, &all, &other).await, Submission::KeyReused);
}

pub(crate) async fn concurrent_repeated_requests_accept_refused_tasks_once<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let key = |refused| IdempotencyKey { refused, ..key("k", 1) };
    let first = submit_with_key(harness, &ann, &[harness.task(ann.group)], &key(vec![1])).await;
    assert!(matches!(first, Submission::Accepted(_)), "{first:?}");
    let batches: Vec<[NewTask; 2]> = (0..8).map(|_| [(); 2].map(|()| harness.task(ann.group))).collect();
    let all = key(vec![]);
    let outcomes = join_all(batches.iter().map(|batch| submit_with_key(harness, &ann, batch, &all))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    assert_eq!(count(harness, &ann).await, 2);
}

pub(crate) async fn longest_timeout_is_stored<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let timeout = Timeout::new(limits::MAX_TIMEOUT).unwrap();
    harness.submit(&ann, &[NewTask { timeout, ..harness.task(ann.group) }]).await;
    let held = harness.claim_one(worker).await;
    assert_eq!(held.task.timeout, timeout);
    assert!(harness.store().reap(harness.now.into(), 1).await.answer().is_empty(), "not overdue yet");
    harness.finish(&held).await;
}

pub(crate) async fn tasks_are_found_by_uuids<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (first, _, third) =
        (harness.submit_one(&ann).await, harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let found = harness.store().tasks(&[first, harness.uuid(), third, first]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|task| task.uuid).collect();
    assert_eq!(found, [third, first], "each once, newest first, without those that do not exist");
    assert!(harness.store().tasks(&[]).await.unwrap().is_empty());
}

pub(crate) async fn task_is_found_by_prefix_number_or_last<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let store = harness.store();
    assert_eq!(store.newest_task_of(ann.user).await.unwrap(), None);
    assert_eq!(store.task_by_number(ann.group, 1).await.unwrap(), None);
    let mut hers = Vec::new();
    for _ in 0..70 {
        hers.push(harness.submit_one(&ann).await);
        harness.submit(&bob, &[harness.task(bob.group), harness.task(bob.group)]).await;
    }
    for (number, uuid) in (1..).zip(&hers) {
        let found = store.task_by_number(ann.group, number).await.unwrap().unwrap();
        assert_eq!((found.uuid, found.number), (*uuid, number));
    }
    for nothing in [-1, 0, 71, i64::MAX] {
        assert_eq!(store.task_by_number(ann.group, nothing).await.unwrap(), None, "{nothing}");
    }
    assert_eq!(store.newest_task_of(ann.user).await.unwrap().unwrap().uuid, hers[69]);

    let all = async |groups: &[GroupId], limit| {
        store.task_uuids_between(Uuid::nil(), Uuid::max(), groups, limit).await.unwrap()
    };
    hers.sort_unstable();
    assert_eq!(all(&[ann.group], 1_000).await, hers);
    assert_eq!(all(&[ann.group], 3).await, hers[..3]);
    assert_eq!(all(&[ann.group, bob.group], 1_000).await.len(), 210);
    assert!(all(&[], 1_000).await.is_empty());
    let one = store.task_uuids_between(hers[4], hers[4], &[ann.group], 10).await.unwrap();
    assert_eq!(one, [hers[4]]);
}
