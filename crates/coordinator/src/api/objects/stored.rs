//! Archives wherever their bytes are: in the object store, or inline in the database.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{self, StreamExt as _};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::{ByteRange, ByteStream, Link, ObjectBody, ObjectError, Right, Span};
use mitosis_store::StoreError;
use mitosis_store::ops::artifacts::{Artifact, Place};

use crate::app::App;
use crate::error::ApiError;

/// A link to an archive. One that is stored inline is served by the coordinator.
pub(in crate::api) fn download_link(
    app: &App,
    artifact: &Artifact,
    holder: Option<&str>,
    valid: Duration,
) -> Result<Link, ObjectError> {
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object.clone());
    match artifact.place {
        Place::ObjectStore => app.objects.download_link(&key, holder, valid, app.now()),
        Place::Inline => app.objects.guarded_link(&key, Right::Download, holder, valid, app.now()),
    }
}

/// Opens an object, or `range` of it.
pub(in crate::api) async fn open(
    app: &App,
    key: &ObjectKey,
    range: Option<ByteRange>,
) -> Result<ObjectBody, ApiError> {
    let Some(bytes) = inline(app, key).await? else { return Ok(app.objects.get(key, range).await?) };
    let total = bytes.len() as u64;
    let Span { offset, length } = match range {
        Some(range) => range.resolve(total).ok_or(ObjectError::RangeOutside { total })?,
        None => Span { offset: 0, length: total },
    };
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let bytes = bytes.slice(place(offset)..place(offset + length));
    Ok(ObjectBody { length, offset, total, stream: once(bytes) })
}

/// The size of an object, if it exists.
pub(super) async fn length(app: &App, key: &ObjectKey) -> Result<Option<u64>, ApiError> {
    match inline(app, key).await? {
        Some(bytes) => Ok(Some(bytes.len() as u64)),
        None => Ok(app.objects.head(key).await?.map(|meta| meta.length)),
    }
}

/// Moves the bytes of an inline archive to the object store.
pub(in crate::api) async fn move_to_object_store(app: &App, key: &ObjectKey) -> Result<(), ApiError> {
    if let Some(bytes) = inline(app, key).await? {
        let length = bytes.len() as u64;
        app.objects.put(key, once(bytes), length).await?;
    }
    Ok(app.store.archive_moved(key).await?)
}

/// The bytes of an archive that is stored inline. Attachments never are.
async fn inline(app: &App, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
    match key.class() {
        ObjectClass::Artifacts => app.store.inline_archive(key).await,
        ObjectClass::Attachments => Ok(None),
    }
}

fn once(bytes: Bytes) -> ByteStream {
    stream::once(async { Ok(bytes) }).boxed()
}
