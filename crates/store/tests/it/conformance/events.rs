//! What changed lately.

use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::Words;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskState, Timestamp};
use mitosis_store::ops::dispatch::Holder;
use mitosis_store::ops::events::{ChangeQuery, Cursor};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{LEASE, Person, SECOND, Stage, status, words};

fn of(person: &Person) -> ChangeQuery {
    ChangeQuery { groups: Some(vec![person.group]), label: None }
}

const fn from(at: Timestamp) -> Cursor {
    Cursor { at, task: TaskId(0) }
}

async fn told<B: Backend>(stage: &Stage<B>, query: &ChangeQuery, after: Cursor) -> Vec<(Uuid, TaskState)> {
    let changes = stage.store().changes(query, after, 100).await.unwrap();
    changes.into_iter().map(|change| (change.event.uuid, change.event.state)).collect()
}

pub(crate) async fn a_task_is_told_where_it_stands_since_when<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let start = from(stage.now);
    let hand = stage.hand(&ann).await;
    stage.pass(SECOND);
    let uuid = stage.submit_one(&ann).await;
    assert_eq!(told(stage, &of(&ann), start).await, [(uuid, TaskState::Ready)]);
    stage.pass(SECOND);
    let held = stage.claim_one(hand).await;
    assert_eq!(told(stage, &of(&ann), start).await, [(uuid, TaskState::Running)]);
    stage.pass(SECOND);
    let holder = Holder::Lease(held.lease);
    stage.report(holder, ExecEnd::Finished).await;
    let next = stage.task(ann.group);
    stage.store().submit_follow_up(holder, &next, stage.now).await.unwrap();
    let reported = [(uuid, TaskState::Finished), (next.uuid, TaskState::Pending)];
    assert_eq!(told(stage, &of(&ann), start).await, reported);
    stage.pass(SECOND);
    stage.commit(holder, status(256)).await;

    let changes = stage.store().changes(&of(&ann), start, 100).await.unwrap();
    let [over, released] = &changes[..] else { panic!("{changes:?}") };
    let (over, last, released) = (&over.event, released.cursor, &released.event);
    assert_eq!((over.uuid, over.state, over.at), (uuid, TaskState::Finished, stage.now));
    assert_eq!((over.result, over.group_name.as_str(), over.task_id), (Some(status(256)), "ann", 1));
    assert_eq!((released.uuid, released.state, released.result), (next.uuid, TaskState::Ready, None));
    assert!(told(stage, &of(&ann), last).await.is_empty(), "nothing happened after the last");
}

pub(crate) async fn a_lost_task_is_told_again<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    stage.claim_one(hand).await;
    stage.pass(LEASE);
    let before = from(stage.now);
    stage.store().reap(stage.now.into(), 10).await.unwrap();
    assert_eq!(told(stage, &of(&ann), before).await, [(uuid, TaskState::Ready)]);
}

pub(crate) async fn only_what_was_asked_for_is_told_page_by_page<B: Backend>(stage: &mut Stage<B>) {
    let (ann, raj) = (stage.person("ann").await, stage.person("raj").await);
    let start = from(stage.now);
    stage.submit_one(&raj).await;
    let mut mine = Vec::new();
    for number in 0..5 {
        let mut task = stage.task(ann.group);
        task.labels = words(if number % 2 == 0 { "even" } else { "odd" });
        mine.push(stage.submit(&ann, &[task]).await[0].uuid);
    }
    let even = ChangeQuery { label: Some("even".to_owned()), ..of(&ann) };
    let even: Vec<_> = told(stage, &even, start).await.into_iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(even, [mine[0], mine[2], mine[4]]);

    let (mut after, mut pages) = (start, Vec::new());
    loop {
        let page = stage.store().changes(&of(&ann), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.cursor;
        pages.push(page.into_iter().map(|change| change.event.uuid).collect::<Vec<_>>());
    }
    assert_eq!(pages, [&mine[..2], &mine[2..4], &mine[4..]]);
    let both = ChangeQuery { groups: Some(vec![ann.group, raj.group]), label: None };
    assert_eq!(told(stage, &both, start).await.len(), 6);
    let all = ChangeQuery { groups: None, label: None };
    let all = stage.store().changes(&all, start, 100).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|change| (change.group, change.labels.clone())).collect();
    let (even, odd) = ((ann.group, words("even")), (ann.group, words("odd")));
    assert_eq!(kinds, [(raj.group, Words::default()), even.clone(), odd.clone(), even.clone(), odd, even]);
}
