//! Recent changes of tasks.

use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskState, Timestamp};
use mitosis_store::ops::dispatch::Holder;
use mitosis_store::ops::events::{ChangeQuery, Cursor, Position};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, LEASE, Person, SECOND, status, tag_set};

fn of(person: &Person) -> ChangeQuery {
    ChangeQuery { groups: vec![person.group], label: None }
}

const fn from(at: Timestamp) -> Cursor {
    Cursor { at, task: TaskId(0) }
}

async fn changes_of<B: Backend>(
    harness: &Harness<B>,
    query: &ChangeQuery,
    after: Cursor,
) -> Vec<(Uuid, TaskState)> {
    let changes = harness.store().changes(query, after, 100).await.unwrap();
    changes.into_iter().map(|change| (change.event.uuid, change.event.state)).collect()
}

pub(crate) async fn change_has_the_state_of_a_task_and_its_time<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let start = from(harness.now);
    let worker = harness.worker(&ann).await;
    harness.pass(SECOND);
    let uuid = harness.submit_one(&ann).await;
    assert_eq!(changes_of(harness, &of(&ann), start).await, [(uuid, TaskState::Ready)]);
    harness.pass(SECOND);
    let held = harness.claim_one(worker).await;
    assert_eq!(changes_of(harness, &of(&ann), start).await, [(uuid, TaskState::Running)]);
    harness.pass(SECOND);
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let next = harness.task(ann.group);
    harness.store().submit_follow_up(holder, &next, harness.now).await.answer();
    let reported = [(uuid, TaskState::Finished), (next.uuid, TaskState::Pending)];
    assert_eq!(changes_of(harness, &of(&ann), start).await, reported);
    harness.pass(SECOND);
    harness.commit(holder, status(256)).await;

    let changes = harness.store().changes(&of(&ann), start, 100).await.unwrap();
    let [ended, released] = &changes[..] else { panic!("{changes:?}") };
    let (ended, last, released) = (&ended.event, released.cursor, &released.event);
    assert_eq!((ended.uuid, ended.state, ended.at), (uuid, TaskState::Finished, harness.now));
    assert_eq!((ended.result, ended.group_name.as_str(), ended.task_id), (Some(status(256)), "ann", 1));
    assert_eq!((released.uuid, released.state, released.result), (next.uuid, TaskState::Ready, None));
    assert!(changes_of(harness, &of(&ann), last).await.is_empty(), "nothing happened after the last");
}

pub(crate) async fn requeued_task_is_a_change<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    harness.pass(LEASE);
    let before = from(harness.now);
    harness.store().reap(harness.now.into(), 10).await.answer();
    assert_eq!(changes_of(harness, &of(&ann), before).await, [(uuid, TaskState::Ready)]);
}

pub(crate) async fn changes_are_filtered_and_paged<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let start = from(harness.now);
    harness.submit_one(&raj).await;
    let mut mine = Vec::new();
    for number in 0..5 {
        let mut task = harness.task(ann.group);
        task.labels = tag_set(if number % 2 == 0 { "even" } else { "odd" });
        mine.push(harness.submit(&ann, &[task]).await[0].uuid);
    }
    let even = ChangeQuery { label: Some("even".to_owned()), ..of(&ann) };
    let even: Vec<_> = changes_of(harness, &even, start).await.into_iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(even, [mine[0], mine[2], mine[4]]);

    let (mut after, mut pages) = (start, Vec::new());
    loop {
        let page = harness.store().changes(&of(&ann), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.cursor;
        pages.push(page.into_iter().map(|change| change.event.uuid).collect::<Vec<_>>());
    }
    assert_eq!(pages, [&mine[..2], &mine[2..4], &mine[4..]]);
    let both = ChangeQuery { groups: vec![ann.group, raj.group], label: None };
    assert_eq!(changes_of(harness, &both, start).await.len(), 6);
    let all = harness.store().positions(start, 100).await.unwrap();
    let all: Vec<_> = all.iter().map(|position| position.cursor.task).collect();
    let all = harness.store().last_changes(&all).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|change| (change.group, change.labels.clone())).collect();
    let (even, odd) = ((ann.group, tag_set("even")), (ann.group, tag_set("odd")));
    assert_eq!(kinds, [(raj.group, TagSet::default()), even.clone(), odd.clone(), even.clone(), odd, even]);
}

pub(crate) async fn positions_agree_with_the_changes_at_every_step<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let start = from(harness.now);
    let worker = harness.worker(&ann).await;
    agree(harness, &ann, start, &[]).await;
    harness.submit_one(&ann).await;
    agree(harness, &ann, start, &[1]).await;
    harness.pass(SECOND);
    let held = harness.claim_one(worker).await;
    agree(harness, &ann, start, &[2]).await;
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let next = harness.task(ann.group);
    harness.store().submit_follow_up(holder, &next, harness.now).await.answer();
    agree(harness, &ann, start, &[3, 0]).await;
    harness.pass(SECOND);
    harness.commit(holder, status(0)).await;
    agree(harness, &ann, start, &[4, 1]).await;

    let all = harness.store().positions(start, 100).await.unwrap();
    let first = harness.store().positions(start, 1).await.unwrap();
    assert_eq!(first, all[..1]);
    assert_eq!(harness.store().positions(first[0].cursor, 100).await.unwrap(), all[1..]);
    assert!(harness.store().positions(all[1].cursor, 100).await.unwrap().is_empty());
    let unknown = [TaskId(all[1].cursor.task.0 + 1)];
    assert!(harness.store().last_changes(&unknown).await.unwrap().is_empty());
}

/// Both ways to read the changes since `start` find the same ones, with these steps.
async fn agree<B: Backend>(harness: &Harness<B>, person: &Person, start: Cursor, steps: &[u8]) {
    let positions = harness.store().positions(start, 100).await.unwrap();
    assert_eq!(positions.iter().map(|position| position.step).collect::<Vec<_>>(), steps);
    let tasks: Vec<_> = positions.iter().map(|position| position.cursor.task).collect();
    let last = harness.store().last_changes(&tasks).await.unwrap();
    let changes = harness.store().changes(&of(person), start, 100).await.unwrap();
    assert_eq!(format!("{last:?}"), format!("{changes:?}"));
    let of_changes = changes.iter().map(|change| Position::of(change.cursor, &change.event));
    assert_eq!(positions, of_changes.collect::<Vec<_>>());
    let uuids: Vec<_> = changes.iter().map(|change| change.event.uuid).collect();
    let started: Vec<_> =
        changes.into_iter().map(|change| change.event).filter(|event| is_started(event.state)).collect();
    assert_eq!(harness.store().started_states(&uuids).await.unwrap(), started);
}

fn is_started(state: TaskState) -> bool {
    matches!(state, TaskState::Running | TaskState::Finished | TaskState::Cancelled)
}
