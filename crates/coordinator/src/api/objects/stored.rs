//! Archives wherever their bytes are: in an object of their own, inline in the database, or packed with others.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use mitosis_domain::hex;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::{ByteRange, ByteStream, Link, ObjectBody, ObjectError, ObjectStore, Right, Span};
use mitosis_store::StoreError;
use mitosis_store::ops::artifacts::{Artifact, PackedRange, Place, SmallArchive};

use crate::app::App;
use crate::error::{ApiError, chain};

/// How often to look for a packed archive whose object is gone: it may just have moved.
const LOOKUPS: usize = 3;
/// Reads of packed objects at a time, for one request.
const READS: usize = 8;
/// Archives of one object that are at most so far apart are read at once.
const GAP: u64 = 64 * 1024;

/// A link to an archive. The coordinator serves those that have no object of their own.
pub(in crate::api) fn download_link(
    app: &App,
    artifact: &Artifact,
    holder: Option<&str>,
    valid: Duration,
) -> Result<Link, ObjectError> {
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object.clone());
    match artifact.place {
        Place::ObjectStore => app.objects.download_link(&key, holder, valid, app.now()),
        Place::Inline | Place::Packed => {
            app.objects.guarded_link(&key, Right::Download, holder, valid, app.now())
        }
    }
}

/// Opens an object, or `range` of it.
pub(in crate::api) async fn open(
    app: &App,
    key: &ObjectKey,
    range: Option<ByteRange>,
) -> Result<ObjectBody, ApiError> {
    for _ in 0..LOOKUPS {
        match small(app, key).await? {
            None => return Ok(app.objects.get(key, range).await?),
            Some(SmallArchive::Inline(bytes)) => {
                return Ok(ObjectBody { version: Some(version(key)), ..open_inline(&bytes, range)? });
            }
            Some(SmallArchive::Packed(packed)) => match open_packed(app, &packed, range).await {
                Err(ObjectError::NotFound(_)) => {}
                opened => return Ok(ObjectBody { version: Some(version(key)), ..opened? }),
            },
        }
    }
    Err(ObjectError::NotFound(key.clone()).into())
}

/// The version of a small archive: its object name belongs to one attempt, and it does not change after the commit.
fn version(key: &ObjectKey) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.path().as_bytes());
    format!("\"{}\"", hex::lower(digest.as_ref()))
}

fn resolve(range: Option<ByteRange>, total: u64) -> Result<Span, ObjectError> {
    match range {
        Some(range) => range.resolve(total).ok_or(ObjectError::RangeOutside { total }),
        None => Ok(Span { offset: 0, length: total }),
    }
}

fn open_inline(bytes: &Bytes, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError> {
    let total = bytes.len() as u64;
    let Span { offset, length } = resolve(range, total)?;
    let part = slice(bytes, offset, length).ok_or(ObjectError::RangeOutside { total })?;
    Ok(ObjectBody { length, offset, total, version: None, stream: once(part) })
}

async fn open_packed(
    app: &App,
    packed: &PackedRange,
    range: Option<ByteRange>,
) -> Result<ObjectBody, ObjectError> {
    let total = packed.length;
    let Span { offset, length } = resolve(range, total)?;
    if length == 0 {
        return Ok(ObjectBody { length, offset, total, version: None, stream: once(Bytes::new()) });
    }
    let first = packed.offset + offset;
    let body = app.objects.get(&packed.object, Some(ByteRange::Between(first, first + length - 1))).await?;
    Ok(ObjectBody { length, offset, total, version: None, stream: body.stream })
}

/// The size of an object, if it exists.
pub(super) async fn length(app: &App, key: &ObjectKey) -> Result<Option<u64>, ApiError> {
    match small(app, key).await? {
        Some(SmallArchive::Inline(bytes)) => Ok(Some(bytes.len() as u64)),
        Some(SmallArchive::Packed(packed)) => Ok(Some(packed.length)),
        None => Ok(app.objects.head(key).await?.map(|meta| meta.length)),
    }
}

/// Moves the bytes of an inline or packed archive to an object of its own.
pub(in crate::api) async fn move_to_object_store(app: &App, key: &ObjectKey) -> Result<(), ApiError> {
    if small(app, key).await?.is_some() {
        let body = open(app, key, None).await?;
        let length = body.length;
        let bytes = read_all(body).await?;
        app.objects.put(key, once(bytes), length).await?;
    }
    Ok(app.store.archive_moved(key, app.now()).await?)
}

/// Reads many small archives. Those of one packed object are read together, and those that can't be read are left out.
pub(in crate::api) async fn read_many<K: Clone + Ord + Send + Sync>(
    app: &App,
    archives: impl IntoIterator<Item = (K, SmallArchive)>,
) -> BTreeMap<K, Bytes> {
    let (mut read, mut packed) = (BTreeMap::new(), Vec::new());
    for (name, archive) in archives {
        match archive {
            SmallArchive::Inline(bytes) => drop(read.insert(name, bytes)),
            SmallArchive::Packed(range) => packed.push((range, name)),
        }
    }
    let objects = &*app.objects;
    let mut reads = stream::iter(merge(packed))
        .map(|read| async move { (read_span(objects, &read).await, read) })
        .buffer_unordered(READS);
    while let Some((bytes, span)) = reads.next().await {
        match bytes {
            Ok(bytes) => {
                let part = |(range, name): &(PackedRange, K)| {
                    Some((name.clone(), slice(&bytes, range.offset - span.offset, range.length)?))
                };
                read.extend(span.archives.iter().filter_map(part));
            }
            Err(error) => {
                tracing::warn!(key = %span.object, cause = chain(&error), "failed to read packed archives");
            }
        }
    }
    read
}

/// A part of a packed object that is read at once.
struct ReadSpan<K> {
    object: ObjectKey,
    offset: u64,
    end: u64,
    archives: Vec<(PackedRange, K)>,
}

/// Joins archives of an object that are close to each other.
fn merge<K: Ord>(mut packed: Vec<(PackedRange, K)>) -> Vec<ReadSpan<K>> {
    packed.sort();
    let mut spans: Vec<ReadSpan<K>> = Vec::new();
    for (range, name) in packed {
        let end = range.offset + range.length;
        match spans.last_mut() {
            Some(span) if span.object == range.object && range.offset <= span.end + GAP => {
                span.end = span.end.max(end);
                span.archives.push((range, name));
            }
            _ => spans.push(ReadSpan {
                object: range.object.clone(),
                offset: range.offset,
                end,
                archives: vec![(range, name)],
            }),
        }
    }
    spans
}

async fn read_span<K>(objects: &dyn ObjectStore, span: &ReadSpan<K>) -> Result<Bytes, ObjectError> {
    if span.end == span.offset {
        return Ok(Bytes::new());
    }
    let range = ByteRange::Between(span.offset, span.end - 1);
    let bytes = read_all(objects.get(&span.object, Some(range)).await?).await?;
    match bytes.len() as u64 == span.end - span.offset {
        true => Ok(bytes),
        false => {
            Err(ObjectError::BodyTooShort { announced: span.end - span.offset, received: bytes.len() as u64 })
        }
    }
}

/// The bytes of an object that is known to be small.
pub(crate) async fn read_all(body: ObjectBody) -> Result<Bytes, ObjectError> {
    let capacity = usize::try_from(body.length).unwrap_or_default();
    let bytes = body
        .stream
        .try_fold(Vec::with_capacity(capacity), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .map_err(ObjectError::BodyFailed)?;
    Ok(bytes.into())
}

/// An archive that has no object of its own. Attachments always have one.
async fn small(app: &App, key: &ObjectKey) -> Result<Option<SmallArchive>, StoreError> {
    match key.class() {
        ObjectClass::Artifacts => app.store.small_archive(key).await,
        ObjectClass::Attachments => Ok(None),
    }
}

/// A part of an object; `None` if the object ends before it.
pub(crate) fn slice(bytes: &Bytes, offset: u64, length: u64) -> Option<Bytes> {
    let (from, to) = (usize::try_from(offset).ok()?, usize::try_from(offset.checked_add(length)?).ok()?);
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}

fn once(bytes: Bytes) -> ByteStream {
    stream::once(async { Ok(bytes) }).boxed()
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Uuid;

    use super::*;

    #[test]
    fn close_archives_of_an_object_are_read_at_once() {
        let range = |object: u128, offset, length| PackedRange {
            object: ObjectKey::packed(Uuid::from_u128(object)),
            offset,
            length,
        };
        let ranges = [
            range(1, 10 + GAP, 5),
            range(2, 0, 3),
            range(1, 0, 10),
            range(1, 16 + 2 * GAP, 1),
            range(1, 20 + 2 * GAP, 7),
        ];
        let spans = merge(ranges.into_iter().zip("abcde".chars()).collect());
        let read: Vec<(u64, u64, String)> = spans
            .iter()
            .map(|span| (span.offset, span.end, span.archives.iter().map(|(_, name)| name).collect()))
            .collect();
        assert_eq!(
            read,
            [
                (0, 15 + GAP, "ca".to_owned()),
                (16 + 2 * GAP, 27 + 2 * GAP, "de".to_owned()),
                (0, 3, "b".to_owned())
            ]
        );
    }
}
