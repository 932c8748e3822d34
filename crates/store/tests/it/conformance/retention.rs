//! Deletion of old tasks and records.

use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ArtifactKind, ExecState, TaskSpec};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{Exchange, FollowUp, Holder, InlineArchive};
use mitosis_store::ops::query::TaskQuery;
use mitosis_store::ops::sweeps::{Repeat, RepeatMode};
use mitosis_store::ops::tasks::{CancelSelection, IdempotencyKey, NewTask, Submission, TaskChange};
use uuid::Uuid;

use super::exchange::takes;
use super::inline_archives::ended;
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, LONG, Person, RegisteredWorker, SECOND, status, tag_set};

const DAY: Duration = Duration::from_hours(24);

/// Deletes tasks that ended more than a day ago, round by round.
async fn delete_ended<B: Backend>(harness: &Harness<B>, at_once: u32) -> u64 {
    let (mut deleted, mut after) = (0, None);
    let day_ago = harness.now - DAY;
    loop {
        let round = harness.store().delete_ended_tasks(day_ago, after, at_once, harness.now).await.unwrap();
        deleted += round.tasks;
        after = round.next;
        if after.is_none() {
            return deleted;
        }
    }
}

async fn exists<B: Backend>(harness: &Harness<B>, uuid: Uuid) -> bool {
    harness.store().task(uuid).await.unwrap().is_some()
}

async fn run_one<B: Backend>(harness: &Harness<B>, ann: &Person, worker: RegisteredWorker) -> Uuid {
    let uuid = harness.submit_one(ann).await;
    let held = harness.claim_one(worker).await;
    assert_eq!(held.task.uuid, uuid);
    harness.finish(&held).await;
    uuid
}

/// A task that fetches an archive of another one, or watches it.
fn needing<B: Backend>(
    harness: &Harness<B>,
    ann: &Person,
    fetched: &[Uuid],
    watched: Option<Uuid>,
) -> NewTask {
    let resource = |uuid: &Uuid| ResourceDownload {
        remote_file: RemoteFile::Artifact { uuid: *uuid, content_type: ArtifactKind::Result },
        local_path: "in".to_owned(),
    };
    let plain = harness.task(ann.group);
    let spec = TaskSpec {
        resources: fetched.iter().map(resource).collect(),
        watch: watched.map(|uuid| (uuid, ExecState::TaskCommitted)),
        ..plain.spec.clone()
    };
    NewTask { spec, ..plain }
}

pub(crate) async fn old_ended_tasks_are_deleted<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let labelled = NewTask { labels: tag_set("night"), ..harness.task(ann.group) };
    let labelled = harness.submit(&ann, &[labelled]).await[0].uuid;
    harness.finish(&harness.claim_one(worker).await).await;
    let cancelled = harness.submit_one(&ann).await;
    harness
        .store()
        .cancel(Actor::System, &CancelSelection::Ready(vec![cancelled]), harness.now)
        .await
        .answer();
    let long = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.pass(HOUR);
    harness.finish(&held).await;
    let waiting = harness.submit_one(&ann).await;

    harness.pass(23 * HOUR);
    assert_eq!(delete_ended(harness, 100).await, 0, "a day has not ended before its last instant");
    harness.pass(SECOND);
    assert_eq!(delete_ended(harness, 100).await, 2, "it is the end that counts, not the submission");
    for (uuid, kept) in [(labelled, false), (cancelled, false), (long, true), (waiting, true)] {
        assert_eq!(exists(harness, uuid).await, kept);
    }
    let night = TaskQuery { labels: tag_set("night"), ..TaskQuery::all_of(ann.group) };
    assert_eq!(harness.store().count_tasks(&night, u64::MAX, LONG).await.unwrap().at_least, 0);
    assert_eq!(harness.scalar("SELECT count(*) FROM task_label").await, 0);
    harness.pass(HOUR);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(exists(harness, waiting).await, "what has not ended stays, however old");
    let next = harness.submit(&ann, &[harness.task(ann.group)]).await[0].number;
    assert_eq!(next, 5, "numbers are not given again");
}

pub(crate) async fn deleted_task_releases_its_storage<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let mut objects = Vec::new();
    for (person, size) in [(&ann, 300), (&bob, 50), (&ann, 7)] {
        let worker = harness.worker(person).await;
        harness.submit_one(person).await;
        let held = harness.claim_one(worker).await;
        let holder = Holder::Lease(held.lease);
        harness.report(holder, ExecEnd::Finished).await;
        let reserved = harness
            .store()
            .reserve_attempt_artifact(holder, ArtifactKind::Result, size, harness.now)
            .await
            .answer();
        let Reservation::Reserved { object, .. } = reserved else { panic!("{reserved:?}") };
        harness.commit(holder, status(0)).await;
        objects.push(object);
    }
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 3);
    assert_eq!((harness.used("ann").await, harness.used("bob").await), (0, 0));
    let garbage = harness.store().garbage(10, harness.now).await.unwrap();
    let mut garbage: Vec<_> = garbage.iter().map(|key| key.path().to_owned()).collect();
    garbage.sort();
    objects.sort();
    assert_eq!(garbage, objects);
}

pub(crate) async fn task_with_recent_archives_is_kept<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = run_one(harness, &ann, worker).await;
    harness.pass(DAY);
    harness
        .store()
        .reserve_artifact(Actor::System, uuid, ArtifactKind::Result, 5, None, harness.now)
        .await
        .unwrap();
    harness.pass(HOUR);
    assert_eq!(delete_ended(harness, 100).await, 0, "bytes may still be on their way");
    harness.pass(DAY);
    assert_eq!(delete_ended(harness, 100).await, 1);
}

pub(crate) async fn referenced_task_is_kept<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (fetched, watched, other) = (
        run_one(harness, &ann, worker).await,
        run_one(harness, &ann, worker).await,
        run_one(harness, &ann, worker).await,
    );
    let waiting = needing(harness, &ann, &[fetched, fetched], Some(watched));
    harness.submit(&ann, std::slice::from_ref(&waiting)).await;
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(!exists(harness, other).await);
    let held = harness.claim_one(worker).await;
    assert_eq!(delete_ended(harness, 100).await, 0, "one that runs needs it as much");
    harness.finish(&held).await;
    assert_eq!(delete_ended(harness, 100).await, 2);
    assert!(!exists(harness, fetched).await && !exists(harness, watched).await);
    assert!(exists(harness, waiting.uuid).await);
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert_eq!(harness.scalar("SELECT count(*) FROM task_need").await, 0);
}

pub(crate) async fn references_change_with_the_spec<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (before, after) = (run_one(harness, &ann, worker).await, run_one(harness, &ann, worker).await);
    let waiting = needing(harness, &ann, &[before], None);
    harness.submit(&ann, std::slice::from_ref(&waiting)).await;
    let change =
        TaskChange { spec: Some(needing(harness, &ann, &[after], None).spec), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, waiting.uuid, &change, harness.now).await.answer());
    let priority = TaskChange { priority: Some(5), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, waiting.uuid, &priority, harness.now).await.answer());
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(!exists(harness, before).await);
    assert!(exists(harness, after).await);
}

pub(crate) async fn repetition_has_the_references_of_the_original<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let fetched = run_one(harness, &ann, worker).await;
    let original = needing(harness, &ann, &[fetched], None);
    harness.submit(&ann, std::slice::from_ref(&original)).await;
    harness.finish(&harness.claim_one(worker).await).await;
    let repeats = [Repeat { of: original.uuid, uuid: harness.uuid() }];
    harness.store().repeat(ann.user, &repeats, RepeatMode::Once, None, harness.now).await.answer();
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(exists(harness, fetched).await && !exists(harness, original.uuid).await);
}

pub(crate) async fn upstream_is_kept_until_its_follow_up_ends<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let upstream = harness.submit_one(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let archived = run_one(harness, &ann, harness.worker(&ann).await).await;
    // Requested twice: the first follow-up and its references are deleted without a trace.
    for task in [needing(harness, &ann, &[archived], None), harness.task(ann.group)] {
        let asked = harness.store().submit_follow_up(holder, &task, harness.now).await.answer();
        assert!(matches!(asked, FollowUp::Created(_)));
    }
    harness.commit(holder, status(0)).await;
    harness.pass(DAY + SECOND);
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(exists(harness, upstream).await && !exists(harness, archived).await);
    harness.finish(&harness.claim_one(worker).await).await;
    assert_eq!(delete_ended(harness, 100).await, 1);
    assert!(!exists(harness, upstream).await);
}

pub(crate) async fn next_round_continues_after_the_last<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let mut old = Vec::new();
    for _ in 0..7 {
        old.push(run_one(harness, &ann, worker).await);
    }
    let waiting = NewTask { priority: -1, ..needing(harness, &ann, &[old[1], old[2]], None) };
    harness.submit(&ann, &[waiting]).await;
    harness.pass(DAY + SECOND);
    run_one(harness, &ann, harness.worker(&ann).await).await;
    let first = harness.store().delete_ended_tasks(harness.now, None, 2, harness.now).await.unwrap();
    assert_eq!((first.tasks, first.next.is_some()), (1, true), "looked at two, of which one is needed");
    assert_eq!(delete_ended(harness, 2).await, 4);
}

pub(crate) async fn concurrent_rounds_delete_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..60).map(|_| harness.task(ann.group)).collect();
    let uuids: Vec<Uuid> = harness.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    for uuid in &uuids {
        harness
            .store()
            .reserve_artifact(Actor::System, *uuid, ArtifactKind::Result, 10, None, harness.now)
            .await
            .unwrap();
    }
    harness.store().cancel(Actor::System, &CancelSelection::Ready(uuids), harness.now).await.answer();
    harness.pass(DAY + SECOND);
    let deleted: u64 = join_all((0..6).map(|_| delete_ended(harness, 7))).await.into_iter().sum();
    let rest = delete_ended(harness, 7).await;
    assert_eq!(deleted + rest, 60, "each is counted by one of them");
    assert_eq!(harness.used("ann").await, 0);
    assert_eq!(harness.store().garbage(100, harness.now).await.unwrap().len(), 60);
}

pub(crate) async fn old_key_is_deleted<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let key = |text: &str| IdempotencyKey { key: text.to_owned(), digest: [1; 32], refused: vec![] };
    let submit = async |harness: &Harness<B>, text: &str| {
        let task = harness.task(ann.group);
        harness.store().submit(ann.user, &[task], Some(&key(text)), harness.now).await.answer()
    };
    for text in ["one", "two", "three"] {
        assert!(matches!(submit(harness, text).await, Submission::Accepted(_)));
    }
    harness.pass(SECOND);
    let first_day = harness.now;
    submit(harness, "four").await;
    let counts = [2, 1, 0];
    for count in counts {
        assert_eq!(harness.store().delete_submissions(first_day, 2).await.unwrap(), count);
    }
    assert!(matches!(submit(harness, "one").await, Submission::Accepted(_)));
    assert!(matches!(submit(harness, "four").await, Submission::Replayed(_)));
}

/// Deletes the archives of tasks that ended more than a day ago, round by round.
async fn delete_archives<B: Backend>(harness: &Harness<B>, at_once: u32) -> u64 {
    let (mut deleted, mut after) = (0, None);
    let day_ago = harness.now - DAY;
    loop {
        let store = harness.store();
        let round = store.delete_archives_of_ended(day_ago, after, at_once, harness.now).await.unwrap();
        deleted += round.archives;
        after = round.next;
        if after.is_none() {
            return deleted;
        }
    }
}

/// Runs a task with an inline archive, and one that a user uploads.
async fn run_with_archives<B: Backend>(harness: &Harness<B>, ann: &Person) -> Uuid {
    let worker = harness.worker(ann).await;
    let uuid = harness.submit_one(ann).await;
    let work = takes(harness, worker, 1).await.remove(0);
    let archive = InlineArchive { kind: ArtifactKind::StdLog, bytes: "log".into() };
    let ended = vec![ended(work.lease, vec![archive])];
    harness.exchange_one(Exchange { ended, ..harness.nothing(worker) }).await;
    let store = harness.store();
    store.reserve_artifact(Actor::System, uuid, ArtifactKind::Result, 5, None, harness.now).await.unwrap();
    uuid
}

async fn kinds<B: Backend>(harness: &Harness<B>, uuid: Uuid) -> Vec<ArtifactKind> {
    let task = harness.get(uuid).await.id;
    let artifacts = harness.store().artifacts(task).await.unwrap();
    artifacts.iter().map(|artifact| artifact.kind).collect()
}

pub(crate) async fn archives_go_before_their_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (old, changed) = (run_with_archives(harness, &ann).await, run_with_archives(harness, &ann).await);
    harness.pass(HOUR);
    let young = run_with_archives(harness, &ann).await;
    let running = harness.submit_one(&ann).await;
    let store = harness.store();
    store.reserve_artifact(Actor::System, running, ArtifactKind::Result, 5, None, harness.now).await.unwrap();
    let store = harness.store();
    store.reserve_artifact(Actor::System, changed, ArtifactKind::Result, 9, None, harness.now).await.unwrap();
    harness.pass(DAY);
    assert_eq!(delete_archives(harness, 100).await, 2);
    assert_eq!(kinds(harness, old).await, []);
    assert!(matches!(harness.phase(old).await, Phase::Ended(_)), "its result stays");
    for kept in [changed, young] {
        assert_eq!(kinds(harness, kept).await, [ArtifactKind::Result, ArtifactKind::StdLog]);
    }
    assert_eq!(
        (harness.used("ann").await, harness.store().garbage(9, harness.now).await.unwrap().len()),
        (25, 1)
    );
    harness.pass(SECOND);
    assert_eq!(delete_archives(harness, 100).await, 4);
    assert_eq!(kinds(harness, running).await, [ArtifactKind::Result], "it has not ended");
    assert_eq!(delete_ended(harness, 100).await, 3);
}

pub(crate) async fn archive_that_a_task_needs_is_kept<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let needed = run_with_archives(harness, &ann).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(run_with_archives(harness, &ann).await);
    }
    let waiting = needing(harness, &ann, &[needed], None);
    harness.submit(&ann, std::slice::from_ref(&waiting)).await;
    harness.pass(DAY + SECOND);
    assert_eq!(delete_archives(harness, 3).await, 6, "each round continues after the last");
    assert_eq!(kinds(harness, needed).await.len(), 2);
    let worker = harness.worker(&ann).await;
    harness.finish(&harness.claim_one(worker).await).await;
    assert_eq!(delete_archives(harness, 3).await, 2);
    assert_eq!(harness.used("ann").await, 0);
}
