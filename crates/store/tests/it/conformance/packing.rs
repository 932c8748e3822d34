//! Archives that move from the database into packed objects.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use mitosis_domain::ids::PackedId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::ArtifactKind::{self, ExecLog, Result as Output, StdLog};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::{
    Artifact, PackedRange, Place, Removal, Reservation, SmallArchive, UploadRecord,
};
use mitosis_store::ops::dispatch::{Exchange, InlineArchive};
use mitosis_store::ops::outputs::StoredLog;
use mitosis_store::ops::packing::{PackOutcome, Packed, PackedFrom, SmallRecord, Unused};
use uuid::Uuid;

use super::exchange::takes;
use super::inline_archives::ended;
use crate::backend::Backend;
use crate::backend::sqlite::Sqlite;
use crate::harness::{HOUR, Harness, Person, SECOND};

/// Tasks that ended with an archive of each of these kinds, whose bytes name the task and the kind.
async fn ended_with<B: Backend>(
    harness: &mut Harness<B>,
    ann: &Person,
    count: usize,
    kinds: &[ArtifactKind],
) -> Vec<Uuid> {
    let worker = harness.worker(ann).await;
    for _ in 0..count {
        harness.submit_one(ann).await;
    }
    let work = takes(harness, worker, count).await;
    let report = work.iter().map(|work| {
        let archive = |kind: &ArtifactKind| InlineArchive { kind: *kind, bytes: contents(work.uuid, *kind) };
        ended(work.lease, kinds.iter().map(archive).collect())
    });
    harness.exchange_one(Exchange { ended: report.collect(), ..harness.nothing(worker) }).await;
    harness.pass(SECOND);
    work.iter().map(|work| work.uuid).collect()
}

fn contents(task: Uuid, kind: ArtifactKind) -> Bytes {
    format!("{task} {kind}").into()
}

async fn packable<B: Backend>(harness: &Harness<B>) -> Vec<SmallRecord> {
    let packable = harness.store().packable(harness.now, None, 1_000).await.unwrap();
    assert_eq!(packable.next, None);
    packable.archives
}

/// The archives, one after another.
fn laid_out(archives: Vec<SmallRecord>) -> Vec<Packed> {
    let mut end = 0;
    let place = |archive: SmallRecord| {
        let offset = end;
        end += archive.size;
        Packed { archive, offset }
    };
    archives.into_iter().map(place).collect()
}

async fn reserve<B: Backend>(harness: &Harness<B>, size: i64) -> (PackedId, ObjectKey) {
    let key = ObjectKey::packed(harness.uuid());
    (harness.store().reserve_packed(&key, size, harness.now).await.unwrap(), key)
}

async fn pack<B: Backend>(
    harness: &Harness<B>,
    from: PackedFrom,
    archives: Vec<Packed>,
) -> (PackedId, ObjectKey, PackOutcome) {
    let size = archives.iter().map(|packed| packed.archive.size).sum();
    let (object, key) = reserve(harness, size).await;
    (object, key, harness.store().pack(object, from, archives, harness.now).await.unwrap())
}

/// Packs all inline archives, and returns the object.
async fn pack_all<B: Backend>(harness: &Harness<B>) -> (PackedId, ObjectKey) {
    let archives = laid_out(packable(harness).await);
    let count = archives.len() as u64;
    let (object, key, outcome) = pack(harness, PackedFrom::Inline, archives).await;
    assert_eq!(outcome, PackOutcome::Moved(count));
    (object, key)
}

async fn visible<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<Artifact> {
    let id = harness.get(task).await.id;
    harness.store().artifacts(id).await.unwrap()
}

fn key(artifact: &Artifact) -> ObjectKey {
    ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object.clone())
}

async fn small<B: Backend>(harness: &Harness<B>, artifact: &Artifact) -> Option<SmallArchive> {
    harness.store().small_archive(&key(artifact)).await.unwrap()
}

async fn garbage<B: Backend>(harness: &Harness<B>) -> Vec<ObjectKey> {
    harness.store().garbage(100, harness.now).await.unwrap()
}

pub(crate) async fn packed_archive_is_found_in_its_object<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let tasks = ended_with(harness, &ann, 2, &[StdLog, Output]).await;
    let used = harness.used("ann").await;
    let inline = harness.store().inline_bytes(packable(harness).await).await.unwrap();
    let mut object = Vec::new();
    for (_, bytes) in &inline {
        object.extend_from_slice(bytes);
    }
    let (_, packed) = pack_all(harness).await;
    harness.restart().await;
    for task in &tasks {
        for artifact in visible(harness, *task).await {
            assert_eq!(artifact.place, Place::Packed);
            let Some(SmallArchive::Packed(range)) = small(harness, &artifact).await else { panic!() };
            assert_eq!((&range.object, range.length), (&packed, artifact.size.unsigned_abs()));
            let place = usize::try_from(range.offset).unwrap()..;
            assert!(object[place].starts_with(&contents(*task, artifact.kind)));
        }
    }
    let outputs: HashMap<_, _> = harness.store().ended_outputs(&tasks).await.unwrap();
    for task in &tasks {
        let Some(StoredLog::Small(SmallArchive::Packed(PackedRange { object, .. }))) = &outputs[task].log
        else {
            panic!("{outputs:?}")
        };
        assert_eq!(object, &packed);
    }
    assert_eq!(harness.used("ann").await, used);
    assert!(packable(harness).await.is_empty());
    let sizes = harness.store().small_archive_sizes().await.unwrap();
    let bytes = object.len() as u64;
    assert_eq!((sizes.packed_objects, sizes.packed_archives), (1, 4));
    assert_eq!((sizes.packed_bytes, sizes.packed_live_bytes), (bytes, bytes));
}

pub(crate) async fn young_archives_are_not_packable<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let old = ended_with(harness, &ann, 3, &[StdLog]).await;
    harness.pass(HOUR);
    let limit = harness.now;
    ended_with(harness, &ann, 2, &[StdLog]).await;
    let (mut found, mut after, mut rounds) = (Vec::new(), None, 0);
    loop {
        let round = harness.store().packable(limit, after, 2).await.unwrap();
        found.extend(round.archives);
        after = round.next;
        rounds += 1;
        if after.is_none() {
            break;
        }
    }
    let objects: Vec<_> = found.iter().map(|archive| archive.object.clone()).collect();
    let mut wanted = Vec::new();
    for task in old {
        wanted.push(visible(harness, task).await[0].object.clone());
    }
    assert_eq!((objects, rounds), (wanted, 3), "the third round has nothing old");
}

pub(crate) async fn archives_changed_meanwhile_are_not_packed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let tasks = ended_with(harness, &ann, 3, &[StdLog]).await;
    let archives = laid_out(packable(harness).await);
    let store = harness.store();
    store.remove_artifact(Actor::System, tasks[0], StdLog, harness.now).await.unwrap();
    store.archive_moved(&key(&visible(harness, tasks[1]).await[0]), harness.now).await.unwrap();
    // On SQLite, its record has the id of the removed one.
    store.remove_artifact(Actor::System, tasks[2], StdLog, harness.now).await.unwrap();
    let other = ended_with(harness, &ann, 1, &[ExecLog]).await[0];
    let (object, key, outcome) = pack(harness, PackedFrom::Inline, archives).await;
    assert_eq!(outcome, PackOutcome::Moved(0));
    let moved = &visible(harness, tasks[1]).await[0];
    assert_eq!((moved.place, small(harness, moved).await), (Place::ObjectStore, None));
    let other_archive = &visible(harness, other).await[0];
    assert_eq!(small(harness, other_archive).await, Some(SmallArchive::Inline(contents(other, ExecLog))));
    assert_eq!(harness.store().discard_unused(Unused::Object(object), harness.now).await.unwrap(), 1);
    assert_eq!(garbage(harness).await, [key]);
}

pub(crate) async fn concurrent_packing_moves_each_archive_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    ended_with(harness, &ann, 40, &[StdLog, Output]).await;
    let archives = laid_out(packable(harness).await);
    let packs = (0..4).map(|_| pack(harness, PackedFrom::Inline, archives.clone()));
    let mut moved = 0;
    for (object, _, outcome) in join_all(packs).await {
        let PackOutcome::Moved(count) = outcome else { panic!("{outcome:?}") };
        moved += count;
        let discarded = harness.store().discard_unused(Unused::Object(object), harness.now).await.unwrap();
        assert_eq!(discarded == 1, count == 0);
    }
    // An archive that several want at the same time may stay for the next pass.
    let rest = packable(harness).await.len() as u64;
    assert_eq!(moved + rest, 80);
    let sizes = harness.store().small_archive_sizes().await.unwrap();
    assert_eq!(sizes.packed_archives, moved);
}

pub(crate) async fn object_is_garbage_with_its_last_archive<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let tasks = ended_with(harness, &ann, 3, &[StdLog]).await;
    let (_, packed) = pack_all(harness).await;
    let store = harness.store();
    let removed = store.remove_artifact(Actor::System, tasks[0], StdLog, harness.now).await.unwrap();
    assert_eq!(removed, Removal::Removed { object: None });
    store.archive_moved(&key(&visible(harness, tasks[1]).await[0]), harness.now).await.unwrap();
    assert!(garbage(harness).await.is_empty());
    let own = visible(harness, tasks[1]).await.remove(0);
    harness.pass(SECOND);
    assert_eq!(store.delete_ended_tasks(harness.now, None, 10, harness.now).await.unwrap().tasks, 3);
    let mut objects = garbage(harness).await;
    objects.sort();
    let mut wanted = [packed, key(&own)];
    wanted.sort();
    assert_eq!((objects, harness.used("ann").await), (wanted.to_vec(), 0));
    assert_eq!(store.small_archive_sizes().await.unwrap().packed_objects, 0);
}

pub(crate) async fn packed_archive_moves_before_a_user_replaces_it<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let task = ended_with(harness, &ann, 1, &[Output]).await[0];
    let (_, packed) = pack_all(harness).await;
    let artifact = visible(harness, task).await.remove(0);
    let store = harness.store();
    let reserve =
        async || store.reserve_artifact(Actor::System, task, Output, 400, None, harness.now).await.unwrap();
    assert_eq!(reserve().await, Reservation::HasNoObject { object: artifact.object.clone() });
    store.archive_moved(&key(&artifact), harness.now).await.unwrap();
    assert_eq!(small(harness, &artifact).await, None);
    assert!(matches!(reserve().await, Reservation::Reserved { record: UploadRecord::Existing, .. }));
    assert_eq!((harness.used("ann").await, garbage(harness).await), (400, vec![packed]));
    store.archive_moved(&key(&artifact), harness.now).await.unwrap();
}

pub(crate) async fn abandoned_object_is_discarded<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    ended_with(harness, &ann, 1, &[StdLog]).await;
    let archives = laid_out(packable(harness).await);
    let (abandoned, path) = reserve(harness, 100).await;
    let (filled, _) = pack_all(harness).await;
    harness.pass(SECOND);
    let store = harness.store();
    let reserved_before = harness.now - SECOND;
    let discard = async |unused| store.discard_unused(unused, harness.now).await.unwrap();
    assert_eq!(discard(Unused::ReservedBefore(reserved_before)).await, 0, "it may still be filled");
    assert_eq!(discard(Unused::Object(filled)).await, 0, "it has an archive");
    assert_eq!(discard(Unused::ReservedBefore(harness.now)).await, 1);
    assert_eq!(garbage(harness).await, [path]);
    let late = store.pack(abandoned, PackedFrom::Object(filled), archives, harness.now).await.unwrap();
    assert_eq!(late, PackOutcome::Discarded, "nothing moves into garbage");
    // On SQLite, an id could be used again.
    let (next, _) = reserve(harness, 100).await;
    assert_ne!(next, abandoned);
}

pub(crate) async fn sparse_objects_are_packed_again<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let tasks = ended_with(harness, &ann, 9, &[StdLog]).await;
    let (old, packed) = pack_all(harness).await;
    harness.pass(SECOND);
    let store = harness.store();
    let now = harness.now;
    for task in &tasks[..6] {
        store.remove_artifact(Actor::System, *task, StdLog, now).await.unwrap();
    }
    assert!(store.sparse_objects(now, None, 10).await.unwrap().is_empty(), "a third is left");
    store.remove_artifact(Actor::System, tasks[6], StdLog, now).await.unwrap();
    assert!(store.sparse_objects(now - SECOND, None, 10).await.unwrap().is_empty(), "it is too young");
    let sparse = store.sparse_objects(now, None, 10).await.unwrap().remove(0);
    assert_eq!((sparse.id, &sparse.key, sparse.archives.len()), (old, &packed, 2));
    assert!(store.sparse_objects(now, Some(old), 10).await.unwrap().is_empty());

    // One of the archives goes before it moves.
    store.remove_artifact(Actor::System, tasks[8], StdLog, now).await.unwrap();
    let archives: Vec<SmallRecord> = sparse.archives.into_iter().map(|packed| packed.archive).collect();
    let (_, new, outcome) = pack(harness, PackedFrom::Object(old), laid_out(archives)).await;
    assert_eq!(outcome, PackOutcome::Moved(1));
    let left = &visible(harness, tasks[7]).await[0];
    let length = left.size.unsigned_abs();
    let range = PackedRange { object: new, offset: 0, length };
    assert_eq!(small(harness, left).await, Some(SmallArchive::Packed(range)));
    assert!(garbage(harness).await.is_empty(), "it is kept for backups");
    harness.pass(24 * HOUR);
    assert_eq!(garbage(harness).await, [packed]);
}

pub(crate) async fn archive_removed_during_packing_is_in_no_object<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for round in 0..12 {
        let task = ended_with(harness, &ann, 1, &[StdLog]).await[0];
        let archives = laid_out(packable(harness).await);
        let store = harness.store();
        let pack = pack(harness, PackedFrom::Inline, archives);
        let remove = async {
            match round % 3 {
                0 => drop(store.remove_artifact(Actor::System, task, StdLog, harness.now).await.unwrap()),
                1 => store.archive_moved(&key(&visible(harness, task).await[0]), harness.now).await.unwrap(),
                _ => drop(store.delete_ended_tasks(harness.now, None, 10, harness.now).await.unwrap()),
            }
        };
        let ((object, ..), ()) = join(pack, remove).await;
        store.discard_unused(Unused::Object(object), harness.now).await.unwrap();
        let sizes = store.small_archive_sizes().await.unwrap();
        assert_eq!((sizes.packed_objects, sizes.packed_archives), (0, 0), "round {round}");
    }
}

/// PostgreSQL counts by itself, some seconds late.
#[tokio::test]
async fn sqlite_counts_inline_archives_exactly() {
    let mut harness = Harness::<Sqlite>::set_up().await;
    let harness = &mut harness;
    let ann = harness.person("ann").await;
    let tasks = ended_with(harness, &ann, 3, &[StdLog, Output]).await;
    let store = harness.store();
    let sizes = async || {
        let sizes = store.small_archive_sizes().await.unwrap();
        let bytes = harness.scalar("SELECT coalesce(sum(length(bytes)), 0) FROM inline_archive").await;
        assert_eq!(sizes.inline_bytes, bytes.unsigned_abs());
        sizes.inline_archives
    };
    assert_eq!(sizes().await, 6);
    store.remove_artifact(Actor::System, tasks[0], StdLog, harness.now).await.unwrap();
    assert_eq!(sizes().await, 5, "deleted with its record");
    store.archive_moved(&key(&visible(harness, tasks[0]).await[0]), harness.now).await.unwrap();
    assert_eq!(sizes().await, 4);
    pack_all(harness).await;
    assert_eq!(sizes().await, 0);
}
