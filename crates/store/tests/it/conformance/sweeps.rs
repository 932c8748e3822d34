//! Outcomes and repetitions of tasks.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::ids::TaskId;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::{
    ArtifactKind, ResultWarning, TaskResult, TaskResultMessage, TaskState, Timestamp, WaitStatus, WarningCode,
};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Completion, Ended, Exchange, Holder, Verdict};
use mitosis_store::ops::events::{ChangeQuery, Cursor};
use mitosis_store::ops::query::{Page, TaskQuery};
use mitosis_store::ops::sweeps::{
    EndedTasks, OutcomePage, Repeat, RepeatMode, Repeated, Repetition, Selection, TaskOutcome,
};
use mitosis_store::ops::tasks::{CancelSelection, IdempotencyKey, NewTask};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, SECOND, status, tag_set, timeout};

const EVERYTHING: Page = Page { before: None, offset: 0, limit: 1_000 };

fn all_of(person: &Person) -> Selection {
    Selection { query: TaskQuery::all_of(person.group), ended: None, latest: false }
}

async fn end<B: Backend>(
    harness: &Harness<B>,
    worker: RegisteredWorker,
    end: ExecEnd,
    result: TaskResult,
) -> Uuid {
    let held = harness.claim_one(worker).await;
    let completion = Completion { holder: Holder::Lease(held.lease), end: Some(end), result };
    assert_eq!(harness.complete(completion).await, Completed::Committed);
    held.task.uuid
}

async fn outcomes<B: Backend>(harness: &Harness<B>, selection: &Selection) -> Vec<TaskOutcome> {
    let outcomes = harness.store().outcomes(selection, EVERYTHING, usize::MAX).await.unwrap().outcomes;
    let selected = harness.store().selected(selection, EVERYTHING).await.unwrap();
    assert_eq!(selected, outcomes.iter().map(|row| row.uuid).collect::<Vec<_>>());
    outcomes
}

fn repeats<B: Backend>(harness: &Harness<B>, of: &[Uuid]) -> Vec<Repeat> {
    of.iter().map(|of| Repeat { of: *of, uuid: harness.uuid() }).collect()
}

async fn repeat<B: Backend>(
    harness: &Harness<B>,
    by: &Person,
    of: &[Uuid],
    mode: RepeatMode,
) -> Vec<Repeated> {
    let outcome =
        harness.store().repeat(by.user, &repeats(harness, of), mode, None, harness.now).await.answer();
    let Repetition::Accepted(repeated) = outcome else { panic!("{outcome:?}") };
    repeated
}

pub(crate) async fn results_have_a_row_for_each_task_in_any_state<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let submitted = harness.now;
    for x in ["1", "2", "3"] {
        let mut task = harness.task(ann.group);
        task.spec.params = [("x".to_owned(), x.to_owned())].into();
        harness.submit(&ann, &[task]).await;
    }
    let cancelled = harness.submit_one(&ann).await;
    harness
        .store()
        .cancel(Actor::System, &CancelSelection::Ready(vec![cancelled]), harness.now)
        .await
        .answer();
    harness.pass(SECOND);
    let started = harness.now;
    let held = harness.claim_one(worker).await;
    harness.pass(SECOND);
    let completion =
        Completion { holder: Holder::Lease(held.lease), end: Some(ExecEnd::Finished), result: status(768) };
    assert_eq!(harness.complete(completion).await, Completed::Committed);
    let running = harness.claim_one(worker).await;
    let rows = outcomes(harness, &all_of(&ann)).await;
    assert!(rows.is_sorted_by(|one, next| one.id > next.id), "newest first");
    let found: Vec<_> =
        rows.iter().map(|row| (row.number, row.state, row.params.get("x").map(String::as_str))).collect();
    assert_eq!(
        found,
        [
            (4, TaskState::Cancelled, None),
            (3, TaskState::Ready, Some("3")),
            (2, TaskState::Running, Some("2")),
            (1, TaskState::Finished, Some("1")),
        ]
    );
    let done = rows.last().unwrap();
    assert_eq!(
        (done.created_at, done.started_at, done.finished_at),
        (submitted, Some(started), Some(harness.now))
    );
    assert_eq!((done.uuid, done.result, done.repeats), (held.task.uuid, Some(status(768)), None));
    assert_eq!((rows[2].uuid, rows[2].started_at), (running.task.uuid, Some(harness.now)));
    assert_eq!((rows[1].started_at, rows[1].finished_at, rows[1].result), (None, None, None));
    assert_eq!(rows[0].started_at, None, "it never started");

    let page = Page { before: Some(rows[1].id), offset: 0, limit: 1 };
    let second = harness.store().outcomes(&all_of(&ann), page, usize::MAX).await.unwrap().outcomes;
    assert_eq!(second, rows[2..3]);
}

pub(crate) async fn page_of_results_ends_at_its_size_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..40)
        .map(|_| {
            let mut task = harness.task(ann.group);
            task.spec.params = BTreeMap::from([("x".to_owned(), "y".repeat(10_000))]);
            task
        })
        .collect();
    harness.submit(&ann, &batch).await;
    let (mut before, mut sizes, mut found) = (None, Vec::new(), Vec::new());
    loop {
        let page = Page { before, offset: 0, limit: 30 };
        let OutcomePage { outcomes, is_complete } =
            harness.store().outcomes(&all_of(&ann), page, 200_000).await.unwrap();
        let Some(last) = outcomes.last() else { break };
        before = Some(last.id);
        sizes.push((outcomes.len(), is_complete));
        found.extend(outcomes.into_iter().map(|row| row.uuid));
    }
    assert_eq!(sizes, [(20, false), (20, true)]);
    let newest_first: Vec<_> = batch.iter().rev().map(|task| task.uuid).collect();
    assert_eq!(found, newest_first);
    let one = harness.store().outcomes(&all_of(&ann), EVERYTHING, 1).await.unwrap();
    assert_eq!((one.outcomes.len(), one.is_complete), (1, false), "there is always a way on");
}

pub(crate) async fn data_of_a_task_is_part_of_its_outcome<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let data = r#"{"loss":0.25,"note":"'ü%_\\n"}"#;
    for data in [Some(data.to_owned()), None] {
        harness.submit_one(&ann).await;
        let lease = harness.claim_one(worker).await.lease;
        let ended = Ended {
            lease,
            end: ExecEnd::Finished,
            result: status(0),
            data,
            warnings: Vec::new(),
            archives: Vec::new(),
            usage: None,
        };
        let exchanged =
            harness.exchange_one(Exchange { ended: vec![ended], ..harness.nothing(worker) }).await;
        assert!(matches!(exchanged.verdicts[..], [Verdict::Committed(_)]));
    }
    let rows = outcomes(harness, &all_of(&ann)).await;
    assert_eq!(rows.iter().map(|row| row.data.as_deref()).collect::<Vec<_>>(), [None, Some(data)]);
}

pub(crate) async fn warnings_are_stored_with_the_end_of_a_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let mut warning =
        ResultWarning::new(WarningCode::Incomplete, Some(ArtifactKind::Result), "it's 'ü%_\\n'");
    warning.files = vec!["a \"b\"".to_owned()];
    for warnings in [vec![warning.clone()], Vec::new()] {
        harness.submit_one(&ann).await;
        let lease = harness.claim_one(worker).await.lease;
        let ended = Ended {
            lease,
            end: ExecEnd::Finished,
            result: status(0),
            data: None,
            warnings,
            archives: Vec::new(),
            usage: None,
        };
        harness.exchange_one(Exchange { ended: vec![ended], ..harness.nothing(worker) }).await;
    }
    let rows = outcomes(harness, &all_of(&ann)).await;
    assert_eq!(rows[0].warnings, []);
    assert_eq!(rows[1].warnings, [warning.clone()]);
    let Phase::Ended(ending) = harness.phase(rows[1].uuid).await else { panic!("it has ended") };
    assert_eq!(ending.warnings, [warning.clone()]);
    let query = ChangeQuery { groups: vec![ann.group], label: None };
    let start = Cursor { at: Timestamp::UNIX_EPOCH, task: TaskId(0) };
    let changes = harness.store().changes(&query, start, 10).await.unwrap();
    let found = changes.into_iter().find(|change| change.event.uuid == rows[1].uuid).unwrap();
    assert_eq!(found.event.warnings, [warning]);
}

pub(crate) async fn selection_of_failed_tasks_skips_successes<B: Backend>(harness: &mut Harness<B>) {
    use TaskResultMessage as M;
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let mut expected = BTreeSet::new();
    for (how, exit_status, msg, failed) in [
        (ExecEnd::Finished, 0, None, false),
        (ExecEnd::Finished, 256, None, true),
        (ExecEnd::Finished, 9, None, true),
        (ExecEnd::Finished, 0, Some(M::SubmitNewTaskFailed), false),
        (ExecEnd::Finished, 0, Some(M::UploadResultTimeout), true),
        (ExecEnd::Cancelled, 0, Some(M::ResourceNotFound), true),
        (ExecEnd::Cancelled, 9, Some(M::ExecTimeout), true),
        (ExecEnd::Cancelled, 15, Some(M::UserCancellation), false),
    ] {
        harness.submit_one(&ann).await;
        let uuid = end(harness, worker, how, TaskResult { exit_status: WaitStatus(exit_status), msg }).await;
        let Phase::Ended(ending) = harness.phase(uuid).await else { panic!("it has not ended") };
        assert_eq!(ending.failed(), failed, "{ending:?}");
        if failed {
            expected.insert(uuid);
        }
    }
    let waiting = harness.submit_one(&ann).await;
    let failed = Selection { ended: Some(EndedTasks::Failed), ..all_of(&ann) };
    let found: BTreeSet<_> = outcomes(harness, &failed).await.iter().map(|row| row.uuid).collect();
    assert_eq!(found, expected);
    let ended = Selection { ended: Some(EndedTasks::Any), ..all_of(&ann) };
    let ended = outcomes(harness, &ended).await;
    assert!(ended.len() == 8 && ended.iter().all(|row| row.uuid != waiting));
}

pub(crate) async fn repetition_copies_the_original_and_links_to_it<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let mut task = NewTask {
        tags: tag_set("gpu"),
        labels: tag_set("sweep night"),
        priority: 7,
        timeout: timeout(90),
        ..harness.task(ann.group)
    };
    task.spec.params = [("x".to_owned(), "1".to_owned())].into();
    let original = harness.submit(&ann, &[task.clone()]).await[0].uuid;
    let plain = harness.submit_one(&ann).await;
    let mut new = harness.new_worker(&ann);
    new.tags = tag_set("gpu");
    let worker = harness.register(&new).await;
    for _ in 0..2 {
        end(harness, worker, ExecEnd::Finished, status(256)).await;
    }
    harness.pass(SECOND);
    harness.let_in(bob.user, ann.group).await;
    let repeated = repeat(harness, &bob, &[plain, original], RepeatMode::Once).await;
    assert_eq!(
        repeated.iter().map(|one| (one.of, one.ids.number)).collect::<Vec<_>>(),
        [(original, 3), (plain, 4)]
    );
    let (before, after) = (harness.get(original).await, harness.get(repeated[0].ids.uuid).await);
    assert_eq!(after.repeats, Some(original));
    assert_eq!((after.phase, after.created_at), (Phase::Ready, harness.now));
    assert_eq!(
        (&after.group_name, &after.tags, &after.labels, after.priority, after.timeout, &after.spec),
        (&before.group_name, &task.tags, &task.labels, 7, task.timeout, &task.spec)
    );
    assert_eq!((after.creator.as_str(), after.upstream), ("bob", None));
    assert_eq!(before.repeats, None);

    let labelled = TaskQuery { labels: tag_set("night sweep"), ..TaskQuery::all_of(ann.group) };
    let both = Selection { query: labelled.clone(), ..all_of(&ann) };
    assert_eq!(outcomes(harness, &both).await.len(), 2, "it is found by its labels");
    let latest = Selection { query: labelled, latest: true, ..all_of(&ann) };
    let latest = outcomes(harness, &latest).await;
    assert_eq!(
        latest.iter().map(|row| (row.uuid, row.repeats)).collect::<Vec<_>>(),
        [(after.uuid, Some(original))]
    );
    // The larger priority goes first again, to a worker with its tag.
    assert_eq!(harness.claim_one(worker).await.task.uuid, after.uuid);
}

pub(crate) async fn running_and_repeated_tasks_are_skipped<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let ended = end(harness, worker, ExecEnd::Finished, status(256)).await;
    harness.submit_one(&ann).await;
    let running = harness.claim_one(worker).await.task.uuid;
    let waiting = harness.submit_one(&ann).await;
    let asked = [waiting, running, ended, harness.uuid(), ended];
    let repeated = repeat(harness, &ann, &asked, RepeatMode::Once).await;
    assert_eq!(repeated.iter().map(|one| one.of).collect::<Vec<_>>(), [ended]);
    assert_eq!(repeat(harness, &ann, &asked, RepeatMode::Once).await, []);
    assert_eq!(repeat(harness, &ann, &[], RepeatMode::Once).await, []);
    let again = repeat(harness, &ann, &[ended], RepeatMode::Again).await;
    assert_eq!(again.len(), 1, "when asked for explicitly");
    assert_eq!(again[0].ids.number, repeated[0].ids.number + 1, "no number was wasted");
}

pub(crate) async fn concurrent_repetitions_repeat_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let mut failed = Vec::new();
    for _ in 0..5 {
        harness.submit_one(&ann).await;
        failed.push(end(harness, worker, ExecEnd::Finished, status(256)).await);
    }
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (store, repeats, now) = (harness.store(), repeats(harness, &failed), harness.now);
            mitosis_testkit::spawn(async move {
                store.repeat(ann.user, &repeats, RepeatMode::Once, None, now).await.answer()
            })
        })
        .collect();
    let mut repeated = Vec::new();
    for outcome in asked {
        let Repetition::Accepted(some) = outcome.await.unwrap() else { panic!("there was no key") };
        repeated.extend(some.into_iter().map(|one| one.of));
    }
    repeated.sort_unstable();
    failed.sort_unstable();
    assert_eq!(repeated, failed);
}

pub(crate) async fn repeated_request_replays_the_repetition<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let ended = end(harness, worker, ExecEnd::Finished, status(256)).await;
    let key = IdempotencyKey { key: "k".to_owned(), digest: [1; 32], refused: vec![] };
    let send = async |key: &IdempotencyKey| {
        harness
            .store()
            .repeat(ann.user, &repeats(harness, &[ended]), RepeatMode::Again, Some(key), harness.now)
            .await
            .answer()
    };
    let Repetition::Accepted(first) = send(&key).await else { panic!("it is the first") };
    assert_eq!(first.len(), 1);
    assert_eq!(send(&key).await, Repetition::Replayed(first));
    let other = IdempotencyKey { digest: [2; 32], ..key };
    assert_eq!(send(&other).await, Repetition::KeyReused);
    assert_eq!(outcomes(harness, &all_of(&ann)).await.len(), 2);
}

pub(crate) async fn pages_of_results_cover_a_growing_sweep<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let labelled = || NewTask { labels: tag_set("sweep"), ..harness.task(ann.group) };
    let first: Vec<_> = (0..25).map(|_| labelled()).collect();
    let mut expected: Vec<Uuid> = harness.submit(&ann, &first).await.iter().map(|ids| ids.uuid).collect();
    expected.reverse();
    let query = TaskQuery { labels: tag_set("sweep"), ..TaskQuery::all_of(ann.group) };
    let selection = Selection { query, ..all_of(&ann) };
    let (mut seen, mut before): (Vec<Uuid>, Option<TaskId>) = (Vec::new(), None);
    loop {
        let page = Page { before, offset: 0, limit: 10 };
        let rows = harness.store().outcomes(&selection, page, usize::MAX).await.unwrap().outcomes;
        let Some(last) = rows.last() else { break };
        before = Some(last.id);
        seen.extend(rows.iter().map(|row| row.uuid));
        harness.submit(&ann, &[labelled()]).await;
    }
    assert_eq!(seen, expected);
}
