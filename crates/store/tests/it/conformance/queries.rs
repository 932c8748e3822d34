//! Task queries: conditions, order, pages.

use std::time::Duration;

use mitosis_domain::comparison::{Comparison, Operator};
use mitosis_domain::filter::{Condition, Moment};
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskState, WaitStatus};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Completion, Holder};
use mitosis_store::ops::query::{Page, TaskPage, TaskQuery};
use mitosis_store::ops::tasks::{CancelSelection, NewTask, QueueDepth};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, LONG, Person, RegisteredWorker, status, tag_set};

const EVERYTHING: Page = Page { before: None, offset: 0, limit: 1_000 };

async fn find<B: Backend>(harness: &Harness<B>, query: &TaskQuery) -> Vec<Uuid> {
    let found = harness.store().query_tasks(query, EVERYTHING).await.unwrap();
    let count = harness.store().count_tasks(query, u64::MAX, LONG).await.unwrap().at_least;
    assert_eq!(count, found.len() as u64, "the count agrees with the list: {query:?}");
    for task in &found {
        assert_eq!(*task, harness.get(task.uuid).await);
    }
    found.into_iter().map(|task| task.uuid).collect()
}

async fn add<B: Backend>(harness: &Harness<B>, creator: &Person, task: NewTask) -> Uuid {
    harness.submit(creator, &[task]).await[0].uuid
}

pub(crate) async fn queue_depth_counts_ready_tasks_of_the_longest_queues<B: Backend>(
    harness: &mut Harness<B>,
) {
    let depth = async |most| harness.store().queue_depth(most, LONG).await.unwrap();
    assert_eq!(depth(9).await, QueueDepth::default());
    let people = [harness.person("ann").await, harness.person("bob").await, harness.person("cy").await];
    for (person, count) in people.iter().zip([3, 2, 1]) {
        for number in 0..count {
            // Each has a lane of its own.
            let tags = tag_set(&format!("lane-{number}"));
            add(harness, person, NewTask { tags, ..harness.task(person.group) }).await;
        }
    }
    let named =
        |groups: &[(&str, u64)]| groups.iter().map(|(name, tasks)| ((*name).to_owned(), *tasks)).collect();
    let all: Vec<(String, u64)> = named(&[("ann", 3), ("bob", 2), ("cy", 1)]);
    assert_eq!(depth(9).await, QueueDepth { groups: all.clone(), others: 0 });
    assert_eq!(depth(1).await, QueueDepth { groups: all[..1].to_vec(), others: 3 });
    let ready = CancelSelection::Ready(vec![add(harness, &people[2], harness.task(people[2].group)).await]);
    harness.store().cancel(Actor::User(people[2].user), &ready, harness.now).await.answer();
    assert_eq!(depth(9).await, QueueDepth { groups: all, others: 0 });
}

async fn end_with<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker, exit_status: i32) {
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    let completion = Completion { holder, end: Some(ExecEnd::Finished), result: status(exit_status) };
    assert_eq!(harness.complete(completion).await, Completed::Committed);
}

pub(crate) async fn tasks_of_one_group_come_newest_first<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let mut hers = Vec::new();
    for priority in [0, 9, -9] {
        hers.push(add(harness, &ann, NewTask { priority, ..harness.task(ann.group) }).await);
        harness.submit_one(&bob).await;
    }
    hers.reverse();
    assert_eq!(find(harness, &TaskQuery::all_of(ann.group)).await, hers);
}

pub(crate) async fn tags_and_labels_match_if_all_are_present<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let with = |tags: &str, labels: &str| NewTask {
        tags: tag_set(tags),
        labels: tag_set(labels),
        ..harness.task(ann.group)
    };
    let both = add(harness, &ann, with("gpu linux", "day night")).await;
    let one = add(harness, &ann, with("gpu", "night")).await;
    let none = add(harness, &ann, with("", "")).await;
    let all = TaskQuery::all_of(ann.group);
    for (tags, labels, expected) in [
        ("", "", vec![none, one, both]),
        ("gpu", "", vec![one, both]),
        ("linux gpu", "", vec![both]),
        ("", "night", vec![one, both]),
        ("", "night day", vec![both]),
        ("linux", "night", vec![both]),
        ("arm", "", vec![]),
        ("", "week", vec![]),
    ] {
        let query = TaskQuery { tags: tag_set(tags), labels: tag_set(labels), ..all.clone() };
        assert_eq!(find(harness, &query).await, expected, "{tags:?} {labels:?}");
    }
}

pub(crate) async fn percent_and_underscore_match_literally<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for label in ["a%", "a_", "ab", "abc", "A%", "a\\%"] {
        add(
            harness,
            &ann,
            NewTask { labels: tag_set(label), tags: tag_set(label), ..harness.task(ann.group) },
        )
        .await;
    }
    let all = TaskQuery::all_of(ann.group);
    for word in ["a%", "a_", "A%", "a\\%"] {
        let by_label = TaskQuery { labels: tag_set(word), ..all.clone() };
        let by_tag = TaskQuery { tags: tag_set(word), ..all.clone() };
        assert_eq!(find(harness, &by_label).await.len(), 1, "{word}");
        assert_eq!(find(harness, &by_tag).await.len(), 1, "{word}");
    }
    for word in ["%", "_", "a"] {
        assert!(
            find(harness, &TaskQuery { labels: tag_set(word), ..all.clone() }).await.is_empty(),
            "{word}"
        );
    }
}

pub(crate) async fn priorities_compare_as_numbers<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let priorities = [i32::MIN, -10, -9, 0, 9, 10, 100, i32::MAX];
    for priority in priorities {
        add(harness, &ann, NewTask { priority, ..harness.task(ann.group) }).await;
    }
    for number in [-10, 9, 10, i32::MAX] {
        for operator in EVERY_OPERATOR {
            let comparison = Comparison { operator, number };
            let query = TaskQuery { priority: Some(comparison), ..TaskQuery::all_of(ann.group) };
            let expected = priorities.into_iter().filter(|priority| comparison.holds(*priority)).count();
            assert_eq!(find(harness, &query).await.len(), expected, "{comparison:?}");
        }
    }
}

pub(crate) async fn every_walk_is_paged<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    for number in 0..24 {
        let labels = tag_set(if number % 2 == 0 { "night" } else { "" });
        let creator = if number % 3 == 0 { &bob } else { &ann };
        // Every fourth task stays Ready.
        let priority = if number % 4 == 3 { -1 } else { 0 };
        let uuid = add(harness, creator, NewTask { labels, priority, ..harness.task(ann.group) }).await;
        match number % 4 {
            0 => end_with(harness, worker, 256).await,
            1 => end_with(harness, worker, 0).await,
            2 => drop(
                harness
                    .store()
                    .cancel(Actor::System, &CancelSelection::Ready(vec![uuid]), harness.now)
                    .await
                    .answer(),
            ),
            _ => {}
        }
        harness.submit_one(&bob).await;
    }
    let all = TaskQuery::all_of(ann.group);
    let failed = Some("!=0".parse::<Comparison>().unwrap());
    let night = tag_set("night");
    let creators = Some(vec!["bob".to_owned()]);
    for (query, count) in [
        (all.clone(), 24),
        (TaskQuery { creators: creators.clone(), ..all.clone() }, 8),
        (TaskQuery { creators: Some(vec!["unknown".to_owned()]), ..all.clone() }, 0),
        (TaskQuery { creators, exit_status: failed, ..all.clone() }, 2),
        (TaskQuery { labels: night.clone(), ..all.clone() }, 12),
        (TaskQuery { labels: night.clone(), exit_status: failed, ..all.clone() }, 6),
        (TaskQuery { exit_status: failed, ..all.clone() }, 6),
        (TaskQuery { states: Some(vec![TaskState::Cancelled]), ..all.clone() }, 6),
        (TaskQuery { states: Some(vec![TaskState::Cancelled]), labels: night, ..all.clone() }, 6),
    ] {
        let whole = find(harness, &query).await;
        assert_eq!(whole.len(), count, "{query:?}");
        assert_eq!(harness.store().count_tasks(&query, 2, LONG).await.unwrap().at_least, 2.min(count as u64));
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = Page { before, offset: 0, limit: 5 };
            let page = harness.store().query_tasks(&query, page).await.unwrap();
            before = page.last().map(|task| task.id);
            pages.extend(page.iter().map(|task| task.uuid));
            if page.len() < 5 {
                break;
            }
        }
        assert_eq!(pages, whole, "{query:?}");
    }
}

pub(crate) async fn task_reported_as_cancelled_is_found_before_its_result<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.report(Holder::Lease(held.lease), ExecEnd::Cancelled).await;
    let cancelled = TaskQuery { states: Some(vec![TaskState::Cancelled]), ..TaskQuery::all_of(ann.group) };
    assert_eq!(find(harness, &cancelled).await, [uuid]);
}

pub(crate) async fn failures_of_a_large_label_use_the_index_of_unusual_ends<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let failed = add(harness, &ann, NewTask { labels: tag_set("large"), ..harness.task(ann.group) }).await;
    end_with(harness, worker, 256).await;
    harness.submit_one(&ann).await;
    end_with(harness, worker, 256).await;
    let many: Vec<_> =
        (0..20_000).map(|_| NewTask { labels: tag_set("large"), ..harness.task(ann.group) }).collect();
    harness.submit(&ann, &many).await;
    let exit_status = Some("!=0".parse::<Comparison>().unwrap());
    let query = TaskQuery { labels: tag_set("large"), exit_status, ..TaskQuery::all_of(ann.group) };
    assert_eq!(find(harness, &query).await, [failed]);
}

const EVERY_OPERATOR: [Operator; 6] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
];

pub(crate) async fn task_without_a_result_has_no_exit_status<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let statuses = [-1, 0, 9, 768, 1_024];
    for exit_status in statuses {
        harness.submit_one(&ann).await;
        end_with(harness, worker, exit_status).await;
    }
    harness.submit_one(&ann).await;
    for operator in EVERY_OPERATOR {
        let comparison = Comparison { operator, number: 9 };
        let query = TaskQuery { exit_status: Some(comparison), ..TaskQuery::all_of(ann.group) };
        let expected = statuses.into_iter().filter(|status| comparison.holds(*status)).count();
        assert_eq!(find(harness, &query).await.len(), expected, "{comparison:?}");
    }
}

pub(crate) async fn creators_and_reporters_are_separate_conditions<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let (left, right) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let by_ann = harness.submit_one(&ann).await;
    end_with(harness, left, 0).await;
    let by_bob = add(harness, &bob, harness.task(ann.group)).await;
    end_with(harness, right, 0).await;
    let waiting = harness.submit_one(&ann).await;

    let all = TaskQuery::all_of(ann.group);
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    for (creators, expected) in [
        (names(&["ann"]), vec![waiting, by_ann]),
        (names(&["bob", "eve"]), vec![by_bob]),
        (names(&["ann", "bob"]), vec![waiting, by_bob, by_ann]),
        (names(&["eve"]), vec![]),
        (names(&[]), vec![]),
    ] {
        let query = TaskQuery { creators, ..all.clone() };
        assert_eq!(find(harness, &query).await, expected, "{query:?}");
    }
    for (reporter, expected) in [(left.uuid, vec![by_ann]), (right.uuid, vec![by_bob]), (waiting, vec![])] {
        let query = TaskQuery { reporter: Some(reporter), ..all.clone() };
        assert_eq!(find(harness, &query).await, expected);
    }
}

/// One task in each state; the follow-up waits for the one that is reported but not committed.
struct EveryState {
    finished: Uuid,
    cancelled: Uuid,
    reported: Uuid,
    running: Uuid,
    ready: Uuid,
    pending: Uuid,
}

async fn every_state<B: Backend>(harness: &Harness<B>, ann: &Person) -> EveryState {
    let worker = harness.worker(ann).await;
    let labelled = || NewTask { labels: tag_set("x"), ..harness.task(ann.group) };
    let finished = add(harness, ann, labelled()).await;
    end_with(harness, worker, 0).await;
    let cancelled = add(harness, ann, labelled()).await;
    harness
        .store()
        .cancel(Actor::System, &CancelSelection::Ready(vec![cancelled]), harness.now)
        .await
        .answer();
    let reported = add(harness, ann, labelled()).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Cancelled).await;
    let follow_up = labelled();
    harness.store().submit_follow_up(holder, &follow_up, harness.now).await.answer();
    let running = add(harness, ann, labelled()).await;
    harness.claim_one(worker).await;
    let ready = add(harness, ann, labelled()).await;
    EveryState { finished, cancelled, reported, running, ready, pending: follow_up.uuid }
}

pub(crate) async fn each_state_matches_its_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let EveryState { finished, cancelled, reported, running, ready, pending } =
        every_state(harness, &ann).await;
    for labels in ["", "x"] {
        for (states, expected) in [
            (vec![TaskState::Pending], vec![pending]),
            (vec![TaskState::Ready], vec![ready]),
            (vec![TaskState::Running], vec![running]),
            (vec![TaskState::Finished], vec![finished]),
            (vec![TaskState::Cancelled], vec![reported, cancelled]),
            (vec![TaskState::Ready, TaskState::Running, TaskState::Pending], vec![ready, running, pending]),
            (vec![TaskState::Ready, TaskState::Finished], vec![ready, finished]),
            (vec![TaskState::Unknown], vec![]),
            (vec![TaskState::Unknown, TaskState::Ready], vec![ready]),
            (vec![], vec![]),
        ] {
            let query = TaskQuery {
                states: Some(states.clone()),
                labels: tag_set(labels),
                ..TaskQuery::all_of(ann.group)
            };
            assert_eq!(find(harness, &query).await, expected, "{states:?} {labels:?}");
        }
    }
}

pub(crate) async fn pages_are_contiguous_while_tasks_arrive<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let matching = || NewTask { tags: tag_set("gpu"), labels: tag_set("x"), ..harness.task(ann.group) };
    let all = TaskQuery::all_of(ann.group);
    let waiting = Some(vec![TaskState::Pending, TaskState::Ready, TaskState::Running]);
    let mut newest_first: Vec<Uuid> = Vec::new();
    for query in [
        all.clone(),
        TaskQuery { labels: tag_set("x"), ..all.clone() },
        TaskQuery { tags: tag_set("gpu"), ..all.clone() },
        TaskQuery { states: waiting, ..all.clone() },
        TaskQuery { creators: Some(vec!["ann".to_owned()]), ..all.clone() },
    ] {
        let batch: Vec<_> = (0..9).map(|_| matching()).collect();
        harness.submit(&ann, &batch).await;
        newest_first.splice(0..0, batch.iter().rev().map(|task| task.uuid));
        let (mut seen, mut before, mut arrived) = (Vec::new(), None, Vec::new());
        loop {
            let page = Page { before, offset: 0, limit: 7 };
            let found = harness.store().query_tasks(&query, page).await.unwrap();
            let Some(last) = found.last() else { break };
            before = Some(last.id);
            seen.extend(found.iter().map(|task| task.uuid));
            arrived.insert(0, add(harness, &ann, matching()).await);
        }
        assert_eq!(seen, newest_first, "{query:?}");
        newest_first.splice(0..0, arrived);
    }
}

pub(crate) async fn offset_and_limit_select_a_window<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..10).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    // The oldest are held, the others wait: one query finds them in two tables.
    for _ in 0..2 {
        harness.claim_one(harness.worker(&ann).await).await;
    }
    let all = TaskQuery::all_of(ann.group);
    let live = Some(vec![TaskState::Ready, TaskState::Running]);
    let live = TaskQuery { states: live, ..all.clone() };
    let newest_first: Vec<Uuid> = batch.iter().rev().map(|task| task.uuid).collect();
    for (offset, limit, expected) in [
        (0, 3, &newest_first[..3]),
        (3, 4, &newest_first[3..7]),
        (8, 100, &newest_first[8..]),
        (10, 5, &[]),
        (0, 0, &[]),
        (0, u64::MAX, &newest_first[..]),
        (u64::MAX, u64::MAX, &[]),
    ] {
        let page = Page { before: None, offset, limit };
        for query in [&all, &live] {
            let found = harness.store().query_tasks(query, page).await.unwrap();
            let found: Vec<Uuid> = found.iter().map(|task| task.uuid).collect();
            assert_eq!(found, expected, "{offset} {limit} {query:?}");
        }
    }
}

fn also(group: mitosis_domain::ids::GroupId, condition: Condition) -> TaskQuery {
    TaskQuery { also: vec![condition], ..TaskQuery::all_of(group) }
}

pub(crate) async fn exit_codes_compare_as_in_a_shell<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let statuses = [0, 256, 7 * 256, 255 * 256, 15, 128 + 11];
    for exit_status in statuses {
        harness.submit_one(&ann).await;
        end_with(harness, worker, exit_status).await;
    }
    harness.submit_one(&ann).await;
    for number in [0, 1, 7, 143, 139] {
        for operator in EVERY_OPERATOR {
            let comparison = Comparison { operator, number };
            let code = |status: i32| i32::from(WaitStatus(status).shell_code().0);
            let expected = statuses.into_iter().filter(|status| comparison.holds(code(*status))).count();
            let query = also(ann.group, Condition::ExitCode(comparison));
            assert_eq!(find(harness, &query).await.len(), expected, "{comparison:?}");
        }
    }
    let waiting = also(ann.group, Condition::ExitCode(Comparison { operator: Operator::Equal, number: 0 }));
    let cancelled = harness
        .store()
        .cancel(Actor::System, &CancelSelection::Matching(waiting), harness.now)
        .await
        .answer();
    assert!(cancelled.is_empty(), "a task that waits has no code");
}

pub(crate) async fn times_restrict_the_matches<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let uuid = add(harness, &ann, NewTask { labels: tag_set("x"), ..harness.task(ann.group) }).await;
        let submitted = harness.now;
        harness.submit_one(&bob).await;
        harness.pass(Duration::from_secs(300));
        end_with(harness, worker, 0).await;
        tasks.push((uuid, submitted, harness.now));
        harness.pass(Duration::from_secs(300));
    }
    tasks.reverse();
    for at in [
        tasks[39].1,
        tasks[20].1,
        tasks[20].2,
        tasks[5].1,
        harness.now,
        harness.now - Duration::from_secs(86_400),
    ] {
        for operator in [Operator::Less, Operator::LessOrEqual, Operator::Greater, Operator::GreaterOrEqual] {
            let holds = |time| match operator {
                Operator::Less => time < at,
                Operator::LessOrEqual => time <= at,
                Operator::Greater => time > at,
                _ => time >= at,
            };
            let moment = Moment { operator, at };
            for labels in ["", "x"] {
                let query = |condition| TaskQuery { labels: tag_set(labels), ..also(ann.group, condition) };
                let created: Vec<_> = tasks.iter().filter(|task| holds(task.1)).map(|task| task.0).collect();
                assert_eq!(find(harness, &query(Condition::Created(moment))).await, created, "{moment:?}");
                let finished: Vec<_> = tasks.iter().filter(|task| holds(task.2)).map(|task| task.0).collect();
                assert_eq!(find(harness, &query(Condition::Finished(moment))).await, finished, "{moment:?}");
            }
        }
    }
}

pub(crate) async fn conditions_on_one_field_are_joined<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let mut tasks = Vec::new();
    for priority in 0..10 {
        tasks.push(add(harness, &ann, NewTask { priority, ..harness.task(ann.group) }).await);
    }
    let priority = |operator, number| Condition::Priority(Comparison { operator, number });
    let between = vec![priority(Operator::GreaterOrEqual, 3), priority(Operator::Less, 5)];
    let query = TaskQuery { also: between, ..TaskQuery::all_of(ann.group) };
    assert_eq!(find(harness, &query).await, [tasks[4], tasks[3]]);
    assert_eq!(find(harness, &also(ann.group, Condition::Id(tasks[7]))).await, [tasks[7]]);
    assert!(find(harness, &also(ann.group, Condition::Id(harness.uuid()))).await.is_empty());
}

pub(crate) async fn page_ends_at_its_size_limit_and_continues<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..40)
        .map(|_| {
            let mut task = harness.task(ann.group);
            task.spec.args = vec!["x".repeat(10_000)];
            task
        })
        .collect();
    harness.submit(&ann, &batch).await;
    let (mut before, mut sizes, mut found) = (None, Vec::new(), Vec::new());
    loop {
        let page = Page { before, offset: 0, limit: 30 };
        let TaskPage { tasks, is_complete } =
            harness.store().page_of_tasks(&TaskQuery::all_of(ann.group), page, 200_000).await.unwrap();
        let Some(last) = tasks.last() else { break };
        before = Some(last.id);
        sizes.push((tasks.len(), is_complete));
        found.extend(tasks.into_iter().map(|task| task.uuid));
    }
    assert_eq!(sizes, [(19, false), (19, false), (2, true)]);
    let newest_first: Vec<_> = batch.iter().rev().map(|task| task.uuid).collect();
    assert_eq!(found, newest_first);
    let all = Page { before: None, offset: 0, limit: 30 };
    let one = harness.store().page_of_tasks(&TaskQuery::all_of(ann.group), all, 1).await.unwrap();
    assert_eq!((one.tasks.len(), one.is_complete), (1, false), "there is always a way on");
}
