//! Archives that arrive with the end of their attempt and are stored in the database.

use bytes::Bytes;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::quota::QuotaChange;
use mitosis_domain::task::{ExecEnd, LeaseKey, Phase};
use mitosis_protocol::ArtifactKind::{self, ExecLog, Result as Output, StdLog};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{LeaseToken, ResultWarning, WarningCode};
use mitosis_store::ops::artifacts::{Artifact, Place, Removal, Reservation, SmallArchive, UploadRecord};
use mitosis_store::ops::dispatch::{Ended, Exchange, Holder, InlineArchive, Verdict, Work};
use mitosis_store::ops::{Actor, Administered};
use uuid::Uuid;

use super::exchange::takes;
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, SECOND, status};

fn archive(kind: ArtifactKind, text: &'static str) -> InlineArchive {
    InlineArchive { kind, bytes: Bytes::from_static(text.as_bytes()) }
}

pub(crate) fn ended(lease: LeaseKey, archives: Vec<InlineArchive>) -> Ended {
    let warnings = Vec::new();
    Ended { lease, end: ExecEnd::Finished, result: status(0), data: None, warnings, archives, usage: None }
}

async fn ends<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker, ended: Vec<Ended>) -> Vec<Verdict> {
    harness.exchange_one(Exchange { ended, ..harness.nothing(worker) }).await.verdicts
}

async fn running<B: Backend>(harness: &Harness<B>, count: usize) -> (Person, RegisteredWorker, Vec<Work>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    for _ in 0..count {
        harness.submit_one(&ann).await;
    }
    let work = takes(harness, worker, count).await;
    (ann, worker, work)
}

async fn visible<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<Artifact> {
    let id = harness.get(task).await.id;
    harness.store().artifacts(id).await.unwrap()
}

fn key(artifact: &Artifact) -> ObjectKey {
    ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object.clone())
}

async fn bytes<B: Backend>(harness: &Harness<B>, artifact: &Artifact) -> Option<Bytes> {
    match harness.store().small_archive(&key(artifact)).await.unwrap() {
        Some(SmallArchive::Inline(bytes)) => Some(bytes),
        None => None,
        Some(packed) => panic!("{packed:?}"),
    }
}

async fn limit<B: Backend>(harness: &Harness<B>, bytes: i64) {
    let change = QuotaChange::Set(bytes);
    let changed =
        harness.store().change_storage_quota(Actor::System, "ann", change, harness.now).await.unwrap();
    assert!(matches!(changed, Administered::Done(_)));
}

async fn warnings<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<ResultWarning> {
    let Phase::Ended(ending) = harness.phase(task).await else { panic!("the task has not ended") };
    ending.warnings
}

pub(crate) async fn archives_are_visible_with_the_end_and_charged_once<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 2).await;
    harness.pass(SECOND);
    let of_first = ended(work[0].lease, vec![archive(StdLog, "log"), archive(Output, "result")]);
    let report = vec![of_first, ended(work[1].lease, vec![archive(StdLog, "other")])];
    assert!(matches!(
        ends(harness, worker, report.clone()).await[..],
        [Verdict::Committed(_), Verdict::Committed(_)]
    ));
    assert_eq!(ends(harness, worker, report).await, [Verdict::Replayed, Verdict::Replayed]);

    let of_first = visible(harness, work[0].uuid).await;
    let kinds: Vec<_> = of_first.iter().map(|it| (it.kind, it.size, it.place)).collect();
    assert_eq!(kinds, [(Output, 6, Place::Inline), (StdLog, 3, Place::Inline)]);
    assert_eq!(bytes(harness, &of_first[1]).await.unwrap(), "log");
    assert_eq!(bytes(harness, &visible(harness, work[1].uuid).await[0]).await.unwrap(), "other");
    assert_eq!(harness.used("ann").await, 14);
    harness.restart().await;
    assert_eq!(bytes(harness, &of_first[0]).await.unwrap(), "result");
}

pub(crate) async fn archives_of_a_stale_report_are_not_stored<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 1).await;
    let stale = LeaseKey { token: LeaseToken(work[0].lease.token.0 + 1), ..work[0].lease };
    let verdicts = ends(harness, worker, vec![ended(stale, vec![archive(StdLog, "log")])]).await;
    assert_eq!(verdicts, [Verdict::Stale]);
    assert_eq!((visible(harness, work[0].uuid).await, harness.used("ann").await), (vec![], 0));
}

pub(crate) async fn quota_keeps_the_first_archives_and_warns_of_others<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 1).await;
    limit(harness, 5).await;
    let archives = vec![archive(StdLog, "log"), archive(ExecLog, "much more"), archive(Output, "r")];
    ends(harness, worker, vec![ended(work[0].lease, archives)]).await;
    let kinds: Vec<_> = visible(harness, work[0].uuid).await.iter().map(|it| it.kind).collect();
    assert_eq!((kinds, harness.used("ann").await), (vec![Output, StdLog], 4));
    let warnings = warnings(harness, work[0].uuid).await;
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!((warning.code, warning.artifact), (WarningCode::NotStored, Some(ExecLog)));
    assert!(warning.text.contains("9 bytes"), "{warning}");
}

pub(crate) async fn locked_group_stores_no_archives_and_the_task_ends<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 1).await;
    harness.set_group_state("ann", AccountState::Locked).await;
    ends(harness, worker, vec![ended(work[0].lease, vec![archive(StdLog, "log")])]).await;
    assert_eq!((visible(harness, work[0].uuid).await, harness.used("ann").await), (vec![], 0));
    assert_eq!(warnings(harness, work[0].uuid).await.len(), 1);
}

pub(crate) async fn archive_replaces_the_upload_of_a_user<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 1).await;
    let uuid = work[0].uuid;
    let store = harness.store();
    store.reserve_artifact(Actor::System, uuid, Output, 40, None, harness.now).await.unwrap();
    let holder = Holder::Lease(work[0].lease);
    store.reserve_attempt_artifact(holder, ExecLog, 50, harness.now).await.answer();
    assert_eq!(harness.used("ann").await, 90);
    let archives = vec![archive(Output, "result"), archive(ExecLog, "ignored")];
    ends(harness, worker, vec![ended(work[0].lease, archives)]).await;
    let seen: Vec<_> = visible(harness, uuid).await.iter().map(|it| (it.kind, it.size, it.place)).collect();
    let uploaded = (ExecLog, 50, Place::ObjectStore);
    assert_eq!(seen, [(Output, 6, Place::Inline), uploaded], "what the attempt uploaded stays");
    assert_eq!(harness.used("ann").await, 56);
}

pub(crate) async fn inline_archive_moves_before_a_user_replaces_it<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 1).await;
    ends(harness, worker, vec![ended(work[0].lease, vec![archive(Output, "result")])]).await;
    let uuid = work[0].uuid;
    let artifact = visible(harness, uuid).await.remove(0);
    let store = harness.store();
    let reserve =
        async || store.reserve_artifact(Actor::System, uuid, Output, 40, None, harness.now).await.unwrap();
    assert_eq!(reserve().await, Reservation::HasNoObject { object: artifact.object.clone() });
    assert_eq!(harness.used("ann").await, 6);
    store.archive_moved(&key(&artifact), harness.now).await.unwrap();
    assert_eq!(bytes(harness, &artifact).await, None);
    assert_eq!(visible(harness, uuid).await[0].place, Place::ObjectStore);
    assert!(matches!(reserve().await, Reservation::Reserved { record: UploadRecord::Existing, .. }));
    assert_eq!(harness.used("ann").await, 40);
}

pub(crate) async fn removed_inline_archive_leaves_nothing<B: Backend>(harness: &mut Harness<B>) {
    let (_, worker, work) = running(harness, 2).await;
    let report = work.iter().map(|work| ended(work.lease, vec![archive(Output, "result")])).collect();
    ends(harness, worker, report).await;
    let [first, second] = [visible(harness, work[0].uuid).await, visible(harness, work[1].uuid).await];
    let store = harness.store();
    let removed = store.remove_artifact(Actor::System, work[0].uuid, Output, harness.now).await.unwrap();
    assert_eq!(removed, Removal::Removed { object: None });
    assert_eq!((bytes(harness, &first[0]).await, harness.used("ann").await), (None, 6));

    harness.pass(SECOND);
    let store = harness.store();
    let gone = store.delete_ended_tasks(harness.now, None, 10, harness.now).await.unwrap();
    assert_eq!(gone.tasks, 2);
    assert_eq!((bytes(harness, &second[0]).await, harness.used("ann").await), (None, 0));
    assert!(store.garbage(10, harness.now).await.unwrap().is_empty(), "no object was written");
}
