//! Moves small archives from the database into packed objects, and archives of mostly empty objects into new ones.
//!
//! A crash loses nothing: an archive stays where it is until a transaction moves it, after its new object is written. Two
//! coordinators may pack the same archives; then one object stays empty, and is discarded.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::failpoints;
use mitosis_domain::ids::{ArtifactId, PackedId};
use mitosis_domain::object::ObjectKey;
use mitosis_objects::{ObjectError, ObjectStore};
use mitosis_protocol::Timestamp;
use mitosis_store::ops::packing::{PackOutcome, Packed, PackedFrom, SmallRecord, SparseObject, Unused};
use mitosis_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::Report;
use crate::api::objects::stored::{read_all, slice};
use crate::app::App;
use crate::error::{ApiError, chain};

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_mins(10);
/// The largest size of an object.
const OBJECT_BYTES: i64 = 8 * 1024 * 1024;
/// The largest number of archives in an object.
const OBJECT_ARCHIVES: usize = 10_000;
/// Fewer bytes of inline archives stay where they are, until there are more of them.
const LEAST_BYTES: i64 = OBJECT_BYTES / 2;
/// Records in one statement that reads.
const PAGE: u32 = 1_000;
/// Archives that move in one transaction: few, so that other transactions do not wait long.
const BATCH_SIZE: usize = 250;
/// The pause between two transactions, for the sake of others.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a coordinator may take to fill an object. Objects that are younger are neither discarded nor packed again.
const FILL_TIME: Duration = Duration::from_hours(1);
/// Mostly empty objects that are read together.
const SPARSE_OBJECTS: u32 = 8;

/// Packs archives that are older than `pack_output_after`, and what is left of mostly empty objects.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    PackingPass {
        store: &*app.store,
        objects: &*app.objects,
        clock: &*app.clock,
        entropy: &*app.entropy,
        pack_after: app.retention.pack_output_after,
        stopping: &app.stopping,
    }
    .run()
    .await
}

/// One pass.
struct PackingPass<'a> {
    store: &'a dyn Store,
    objects: &'a dyn ObjectStore,
    clock: &'a dyn Clock,
    entropy: &'a dyn Entropy,
    pack_after: Option<Duration>,
    stopping: &'a CancellationToken,
}

/// An archive on its way to a packed object.
struct Content {
    from: PackedFrom,
    archive: SmallRecord,
    bytes: Bytes,
}

impl PackingPass<'_> {
    async fn run(&self) -> Result<Report, ApiError> {
        let now = self.clock.now();
        let unused = Unused::ReservedBefore(now - FILL_TIME);
        let discarded = self.store.discard_unused(unused, now).await?;
        let packed = match self.pack_after {
            Some(after) => self.pack_inline(now - after).await?,
            None => 0,
        };
        let repacked = self.repack(now - FILL_TIME).await?;
        Ok(Report::new([
            ("packed archives", packed),
            ("repacked archives", repacked),
            ("discarded objects", discarded),
        ]))
    }

    /// Packs inline archives, an object at a time.
    async fn pack_inline(&self, stored_before: Timestamp) -> Result<u64, ApiError> {
        let (mut walk, mut packed) = (Walk::new(stored_before), 0);
        loop {
            let chosen = walk.next_object(self.store).await?;
            if chosen.bytes < LEAST_BYTES && chosen.archives.len() < OBJECT_ARCHIVES {
                return Ok(packed);
            }
            let contents = self.inline_contents(chosen.archives).await?;
            let moved = self.write_object(contents).await?;
            packed += moved;
            // Where none moved, another coordinator packs.
            if moved == 0 || !self.pause().await {
                return Ok(packed);
            }
        }
    }

    async fn inline_contents(&self, archives: Vec<SmallRecord>) -> Result<Vec<Content>, StoreError> {
        let mut contents = Vec::with_capacity(archives.len());
        for page in archives.chunks(PAGE as usize) {
            let found = self.store.inline_bytes(page.to_vec()).await?;
            for (archive, bytes) in found {
                if i64::try_from(bytes.len()) == Ok(archive.size) {
                    contents.push(Content { from: PackedFrom::Inline, archive, bytes });
                } else {
                    tracing::warn!(object = archive.object, "an archive does not have the recorded size");
                }
            }
        }
        Ok(contents)
    }

    /// Moves what is left of mostly empty objects to new ones.
    async fn repack(&self, reserved_before: Timestamp) -> Result<u64, ApiError> {
        let (mut after, mut repacked) = (None, 0);
        loop {
            let objects = self.store.sparse_objects(reserved_before, after, SPARSE_OBJECTS).await?;
            let is_last = objects.len() < SPARSE_OBJECTS as usize;
            after = objects.last().map(|object| object.id);
            let (mut contents, mut bytes) = (Vec::new(), 0);
            for object in objects {
                let left: i64 = object.archives.iter().map(|packed| packed.archive.size).sum();
                let is_full =
                    bytes + left > OBJECT_BYTES || contents.len() + object.archives.len() > OBJECT_ARCHIVES;
                if is_full && !contents.is_empty() {
                    repacked += self.write_object(std::mem::take(&mut contents)).await?;
                    bytes = 0;
                }
                bytes += left;
                contents.extend(self.packed_contents(object).await?);
            }
            if !contents.is_empty() {
                repacked += self.write_object(contents).await?;
            }
            if is_last || !self.pause().await {
                return Ok(repacked);
            }
        }
    }

    /// Reads what is left of an object; nothing if that fails for this object only.
    async fn packed_contents(&self, object: SparseObject) -> Result<Vec<Content>, ObjectError> {
        let SparseObject { id, key, archives } = object;
        let read = async { read_all(self.objects.get(&key, None).await?).await };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(error @ ObjectError::Unreachable { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(%key, cause = chain(&error), "failed to read a packed object");
                return Ok(Vec::new());
            }
        };
        let content = |Packed { archive, offset }: Packed| {
            let part = slice(&bytes, offset.unsigned_abs(), archive.size.unsigned_abs())?;
            // A copy, so that the rest of the object does not stay in memory.
            let bytes = Bytes::copy_from_slice(&part);
            Some(Content { from: PackedFrom::Object(id), archive, bytes })
        };
        Ok(archives.into_iter().filter_map(content).collect())
    }

    /// Writes an object, and moves archives into it. Returns how many moved.
    async fn write_object(&self, contents: Vec<Content>) -> Result<u64, ApiError> {
        if contents.is_empty() {
            return Ok(0);
        }
        let size: i64 = contents.iter().map(|content| content.archive.size).sum();
        let key = ObjectKey::packed(self.entropy.uuid());
        failpoints::point("pack.reserve:before");
        let object = self.store.reserve_packed(&key, size, self.clock.now()).await?;
        failpoints::point("pack.reserve:after");
        let moved = self.fill(object, &key, size, contents).await;
        if !matches!(moved, Ok(1..)) {
            // After a crash here, or if this fails, it is discarded after `FILL_TIME`.
            let discarded = self.store.discard_unused(Unused::Object(object), self.clock.now()).await;
            if let Err(error) = discarded {
                tracing::warn!(%key, cause = chain(&error), "failed to discard an object; it will be retried");
            }
        }
        moved
    }

    async fn fill(
        &self,
        object: PackedId,
        key: &ObjectKey,
        size: i64,
        contents: Vec<Content>,
    ) -> Result<u64, ApiError> {
        failpoints::point("pack.put:before");
        let parts: Vec<_> = contents.iter().map(|content| Ok(content.bytes.clone())).collect();
        self.objects.put(key, stream::iter(parts).boxed(), size.unsigned_abs()).await?;
        failpoints::point("pack.put:after");
        let (mut moved, mut offset) = (0, 0);
        for same in contents.chunk_by(|one, other| one.from == other.from) {
            for batch in same.chunks(BATCH_SIZE) {
                let from = batch[0].from;
                let packed = batch.iter().map(|content| {
                    let packed = Packed { archive: content.archive.clone(), offset };
                    offset += content.archive.size;
                    packed
                });
                let packed = packed.collect();
                failpoints::point("pack.move:before");
                let outcome = self.store.pack(object, from, packed, self.clock.now()).await?;
                failpoints::point("pack.move:after");
                match outcome {
                    PackOutcome::Moved(count) => moved += count,
                    PackOutcome::Discarded => return Ok(moved),
                }
                // What has not moved when the coordinator stops, or when another one packs, stays where it is.
                if moved == 0 || !self.pause().await {
                    return Ok(moved);
                }
            }
        }
        Ok(moved)
    }

    async fn pause(&self) -> bool {
        super::wait(self.stopping, PAUSE).await
    }
}

/// A walk over inline archives that are old enough.
struct Walk {
    stored_before: Timestamp,
    after: Option<ArtifactId>,
    has_ended: bool,
    pending: VecDeque<SmallRecord>,
}

/// The archives of an object to write.
#[derive(Default)]
struct Chosen {
    archives: Vec<SmallRecord>,
    bytes: i64,
}

impl Walk {
    fn new(stored_before: Timestamp) -> Self {
        Self { stored_before, after: None, has_ended: false, pending: VecDeque::new() }
    }

    /// The next archives, as many as an object holds.
    async fn next_object(&mut self, store: &dyn Store) -> Result<Chosen, StoreError> {
        let mut chosen = Chosen::default();
        loop {
            while let Some(archive) = self.pending.pop_front() {
                let is_full =
                    chosen.bytes + archive.size > OBJECT_BYTES || chosen.archives.len() >= OBJECT_ARCHIVES;
                if is_full && !chosen.archives.is_empty() {
                    self.pending.push_front(archive);
                    return Ok(chosen);
                }
                chosen.bytes += archive.size;
                chosen.archives.push(archive);
            }
            if self.has_ended {
                return Ok(chosen);
            }
            let page = store.packable(self.stored_before, self.after, PAGE).await?;
            self.pending.extend(page.archives);
            (self.after, self.has_ended) = (page.next, page.next.is_none());
        }
    }
}
