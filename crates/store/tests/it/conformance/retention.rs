//! Forgetting what is long over, and keeping what somebody needs.

use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ArtifactKind, ExecState, TaskSpec};
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{FollowUp, Holder};
use mitosis_store::ops::query::TaskQuery;
use mitosis_store::ops::sweeps::Repeat;
use mitosis_store::ops::tasks::{CancelSelection, IdempotencyKey, NewTask, Submission, TaskChange};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{HOUR, Hand, LONG, Person, SECOND, Stage, status, words};

const DAY: Duration = Duration::from_hours(24);

/// Forgets what ended more than a day ago, round by round.
async fn forget<B: Backend>(stage: &Stage<B>, at_once: u32) -> u64 {
    let (mut forgotten, mut after) = (0, None);
    let day_ago = stage.now - DAY;
    loop {
        let round = stage.store().forget_tasks(day_ago, after, at_once, stage.now).await.unwrap();
        forgotten += round.tasks;
        after = round.next;
        if after.is_none() {
            return forgotten;
        }
    }
}

async fn exists<B: Backend>(stage: &Stage<B>, uuid: Uuid) -> bool {
    stage.store().task(uuid).await.unwrap().is_some()
}

async fn run_one<B: Backend>(stage: &Stage<B>, ann: &Person, hand: Hand) -> Uuid {
    let uuid = stage.submit_one(ann).await;
    let held = stage.claim_one(hand).await;
    assert_eq!(held.task.uuid, uuid);
    stage.finish(&held).await;
    uuid
}

/// A task that fetches an archive of another, or watches it.
fn needing<B: Backend>(stage: &Stage<B>, ann: &Person, fetched: &[Uuid], watched: Option<Uuid>) -> NewTask {
    let resource = |uuid: &Uuid| ResourceDownload {
        remote_file: RemoteFile::Artifact { uuid: *uuid, content_type: ArtifactKind::Result },
        local_path: "in".to_owned(),
    };
    let plain = stage.task(ann.group);
    let spec = TaskSpec {
        resources: fetched.iter().map(resource).collect(),
        watch: watched.map(|uuid| (uuid, ExecState::TaskCommitted)),
        ..plain.spec.clone()
    };
    NewTask { spec, ..plain }
}

pub(crate) async fn ended_tasks_are_forgotten_when_they_are_old_enough<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let labelled = NewTask { labels: words("night"), ..stage.task(ann.group) };
    let labelled = stage.submit(&ann, &[labelled]).await[0].uuid;
    stage.finish(&stage.claim_one(hand).await).await;
    let cancelled = stage.submit_one(&ann).await;
    stage.store().cancel(By::Site, &CancelSelection::Ready(vec![cancelled]), stage.now).await.unwrap();
    let long = stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    stage.pass(HOUR);
    stage.finish(&held).await;
    let waiting = stage.submit_one(&ann).await;

    stage.pass(23 * HOUR);
    assert_eq!(forget(stage, 100).await, 0, "a day is not over before its last instant");
    stage.pass(SECOND);
    assert_eq!(forget(stage, 100).await, 2, "it is the end that counts, not the submission");
    for (uuid, kept) in [(labelled, false), (cancelled, false), (long, true), (waiting, true)] {
        assert_eq!(exists(stage, uuid).await, kept);
    }
    let night = TaskQuery { labels: words("night"), ..TaskQuery::all_of(ann.group) };
    assert_eq!(stage.store().count_tasks(&night, u64::MAX, LONG).await.unwrap().at_least, 0);
    assert_eq!(stage.scalar("SELECT count(*) FROM task_label").await, 0);
    stage.pass(HOUR);
    assert_eq!(forget(stage, 100).await, 1);
    assert!(exists(stage, waiting).await, "what has not ended stays, however old");
    let next = stage.submit(&ann, &[stage.task(ann.group)]).await[0].number;
    assert_eq!(next, 5, "numbers are not given again");
}

pub(crate) async fn what_a_forgotten_task_stored_is_given_back<B: Backend>(stage: &mut Stage<B>) {
    let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
    let mut objects = Vec::new();
    for (person, size) in [(&ann, 300), (&bob, 50), (&ann, 7)] {
        let hand = stage.hand(person).await;
        stage.submit_one(person).await;
        let held = stage.claim_one(hand).await;
        let holder = Holder::Lease(held.lease);
        stage.report(holder, ExecEnd::Finished).await;
        let reserved = stage
            .store()
            .reserve_attempt_artifact(holder, ArtifactKind::Result, size, stage.now)
            .await
            .unwrap();
        let Reservation::Reserved { object, .. } = reserved else { panic!("{reserved:?}") };
        stage.commit(holder, status(0)).await;
        objects.push(object);
    }
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 3);
    assert_eq!((stage.used("ann").await, stage.used("bob").await), (0, 0));
    let garbage = stage.store().garbage(10, stage.now).await.unwrap();
    let mut garbage: Vec<_> = garbage.iter().map(|key| key.path().to_owned()).collect();
    garbage.sort();
    objects.sort();
    assert_eq!(garbage, objects);
}

pub(crate) async fn a_task_stays_while_its_archives_are_in_use<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = run_one(stage, &ann, hand).await;
    stage.pass(DAY);
    stage.store().reserve_artifact(By::Site, uuid, ArtifactKind::Result, 5, None, stage.now).await.unwrap();
    stage.pass(HOUR);
    assert_eq!(forget(stage, 100).await, 0, "bytes may still be on their way");
    stage.pass(DAY);
    assert_eq!(forget(stage, 100).await, 1);
}

pub(crate) async fn a_task_stays_while_one_that_has_not_ended_names_it<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (fetched, watched, other) = (
        run_one(stage, &ann, hand).await,
        run_one(stage, &ann, hand).await,
        run_one(stage, &ann, hand).await,
    );
    let waiting = needing(stage, &ann, &[fetched, fetched], Some(watched));
    stage.submit(&ann, std::slice::from_ref(&waiting)).await;
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 1);
    assert!(!exists(stage, other).await);
    let held = stage.claim_one(hand).await;
    assert_eq!(forget(stage, 100).await, 0, "one that runs needs it as much");
    stage.finish(&held).await;
    assert_eq!(forget(stage, 100).await, 2);
    assert!(!exists(stage, fetched).await && !exists(stage, watched).await);
    assert!(exists(stage, waiting.uuid).await);
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 1);
    assert_eq!(stage.scalar("SELECT count(*) FROM task_need").await, 0);
}

pub(crate) async fn what_a_task_needs_changes_with_its_spec<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (before, after) = (run_one(stage, &ann, hand).await, run_one(stage, &ann, hand).await);
    let waiting = needing(stage, &ann, &[before], None);
    stage.submit(&ann, std::slice::from_ref(&waiting)).await;
    let change =
        TaskChange { spec: Some(needing(stage, &ann, &[after], None).spec), ..TaskChange::default() };
    assert!(stage.store().change_task(By::Site, waiting.uuid, &change, stage.now).await.unwrap());
    let priority = TaskChange { priority: Some(5), ..TaskChange::default() };
    assert!(stage.store().change_task(By::Site, waiting.uuid, &priority, stage.now).await.unwrap());
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 1);
    assert!(!exists(stage, before).await);
    assert!(exists(stage, after).await);
}

pub(crate) async fn a_repeated_task_needs_what_the_original_needed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let fetched = run_one(stage, &ann, hand).await;
    let original = needing(stage, &ann, &[fetched], None);
    stage.submit(&ann, std::slice::from_ref(&original)).await;
    stage.finish(&stage.claim_one(hand).await).await;
    let repeats = [Repeat { of: original.uuid, uuid: stage.uuid() }];
    stage.store().repeat(ann.user, &repeats, false, None, stage.now).await.unwrap();
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 1);
    assert!(exists(stage, fetched).await && !exists(stage, original.uuid).await);
}

pub(crate) async fn an_upstream_stays_until_its_follow_up_has_ended<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let upstream = stage.submit_one(&ann).await;
    let holder = Holder::Lease(stage.claim_one(hand).await.lease);
    stage.report(holder, ExecEnd::Finished).await;
    let archived = run_one(stage, &ann, stage.hand(&ann).await).await;
    // Asked for twice: the first one, and what it needs, is gone without a trace.
    for task in [needing(stage, &ann, &[archived], None), stage.task(ann.group)] {
        let asked = stage.store().submit_follow_up(holder, &task, stage.now).await.unwrap();
        assert!(matches!(asked, FollowUp::Created(_)));
    }
    stage.commit(holder, status(0)).await;
    stage.pass(DAY + SECOND);
    assert_eq!(forget(stage, 100).await, 1);
    assert!(exists(stage, upstream).await && !exists(stage, archived).await);
    stage.finish(&stage.claim_one(hand).await).await;
    assert_eq!(forget(stage, 100).await, 1);
    assert!(!exists(stage, upstream).await);
}

pub(crate) async fn a_round_goes_on_where_the_last_one_stopped<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let mut old = Vec::new();
    for _ in 0..7 {
        old.push(run_one(stage, &ann, hand).await);
    }
    let waiting = NewTask { priority: -1, ..needing(stage, &ann, &[old[1], old[2]], None) };
    stage.submit(&ann, &[waiting]).await;
    stage.pass(DAY + SECOND);
    run_one(stage, &ann, stage.hand(&ann).await).await;
    let first = stage.store().forget_tasks(stage.now, None, 2, stage.now).await.unwrap();
    assert_eq!((first.tasks, first.next.is_some()), (1, true), "looked at two, of which one is needed");
    assert_eq!(forget(stage, 2).await, 4);
}

pub(crate) async fn coordinators_that_forget_at_once_forget_each_task_once<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let batch: Vec<_> = (0..60).map(|_| stage.task(ann.group)).collect();
    let uuids: Vec<Uuid> = stage.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    for uuid in &uuids {
        stage
            .store()
            .reserve_artifact(By::Site, *uuid, ArtifactKind::Result, 10, None, stage.now)
            .await
            .unwrap();
    }
    stage.store().cancel(By::Site, &CancelSelection::Ready(uuids), stage.now).await.unwrap();
    stage.pass(DAY + SECOND);
    let forgotten: u64 = join_all((0..6).map(|_| forget(stage, 7))).await.into_iter().sum();
    let rest = forget(stage, 7).await;
    assert_eq!(forgotten + rest, 60, "each is told by one of them");
    assert_eq!(stage.used("ann").await, 0);
    assert_eq!(stage.store().garbage(100, stage.now).await.unwrap().len(), 60);
}

pub(crate) async fn a_key_is_forgotten_after_its_time<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let key = |text: &str| IdempotencyKey { key: text.to_owned(), digest: [1; 32] };
    let submit = async |stage: &Stage<B>, text: &str| {
        let task = stage.task(ann.group);
        stage.store().submit(ann.user, &[task], Some(&key(text)), stage.now).await.unwrap()
    };
    for text in ["one", "two", "three"] {
        assert!(matches!(submit(stage, text).await, Submission::Accepted(_)));
    }
    stage.pass(SECOND);
    let first_day = stage.now;
    submit(stage, "four").await;
    let counts = [2, 1, 0];
    for count in counts {
        assert_eq!(stage.store().forget_submissions(first_day, 2).await.unwrap(), count);
    }
    assert!(matches!(submit(stage, "one").await, Submission::Accepted(_)));
    assert!(matches!(submit(stage, "four").await, Submission::Replayed(_)));
}
