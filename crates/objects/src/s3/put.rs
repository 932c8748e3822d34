//! Uploads a small body in one request and a large one in parts.
//!
//! Data is buffered before it is sent, at most one part of it. Only then can a request be repeated, and only
//! then is it certain that the body has the announced length before the service makes the object visible.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use mitosis_domain::object::ObjectKey;
use reqwest::header::{ETAG, HeaderMap};
use rusty_s3::actions::{CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload};

use super::service_error::ServiceError;
use super::wire::{Failure, Wire};
use crate::ObjectError;
use crate::object::ExactBody;

/// Most parts of an upload.
const MAX_PARTS: u64 = 10_000;
/// The largest part, and the largest object without parts.
pub(super) const MAX_PART: u64 = 5 * 1024 * 1024 * 1024;

pub(super) async fn put(
    wire: &Arc<Wire>,
    key: &ObjectKey,
    body: ExactBody,
    length: u64,
    part_size: u64,
) -> Result<(), ObjectError> {
    let part_size = part_size_for(length, part_size)?;
    if length <= part_size as u64 {
        return put_whole(wire, key, collect(body).await?).await;
    }
    let parts = Parts { body, pending: BytesMut::new(), size: part_size };
    let upload = Upload::begin(wire, key).await?;
    match upload.finish_with(parts).await {
        Ok(()) => {
            upload.keep();
            Ok(())
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

/// A part size that keeps the number of parts within the limit.
fn part_size_for(length: u64, wanted: u64) -> Result<usize, ObjectError> {
    let size = wanted.clamp(1, MAX_PART).max(length.div_ceil(MAX_PARTS));
    let size = if size > MAX_PART { None } else { usize::try_from(size).ok() };
    size.ok_or(ObjectError::TooLarge { length })
}

async fn collect(body: ExactBody) -> Result<Bytes, ObjectError> {
    let append = |mut whole: BytesMut, chunk: Bytes| async move {
        whole.extend_from_slice(&chunk);
        Ok(whole)
    };
    body.try_fold(BytesMut::new(), append).await.map(BytesMut::freeze)
}

/// Stores an object in one request.
pub(super) async fn put_whole(wire: &Wire, key: &ObjectKey, whole: Bytes) -> Result<(), ObjectError> {
    let action = wire.bucket(key.class()).put_object(Some(wire.credentials()), key.path());
    wire.send(&action, HeaderMap::new(), Some(whole)).await.map_err(wire.explain(key.class()))?;
    Ok(())
}

/// A body that is cut into parts of equal size, except for the last one.
struct Parts {
    body: ExactBody,
    pending: BytesMut,
    size: usize,
}

impl Parts {
    /// The next part, or `None` when the body has ended with the announced length.
    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        while self.pending.len() < self.size {
            match self.body.try_next().await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.is_empty() => return Ok(None),
                None => return Ok(Some(self.pending.split().freeze())),
            }
        }
        Ok(Some(self.pending.split_to(self.size).freeze()))
    }
}

/// An upload in parts that is neither completed nor aborted. The service keeps and charges for the parts until
/// then.
struct Upload {
    wire: Arc<Wire>,
    key: ObjectKey,
    id: String,
    open: bool,
}

impl Upload {
    async fn begin(wire: &Arc<Wire>, key: &ObjectKey) -> Result<Self, ObjectError> {
        let bucket = wire.bucket(key.class());
        let action = bucket.create_multipart_upload(Some(wire.credentials()), key.path());
        let response = wire.call(&action).await.map_err(wire.explain(key.class()))?;
        let body = wire.text(response).await.map_err(wire.explain(key.class()))?;
        let id = CreateMultipartUpload::parse_response(&body)
            .map_err(|_| wire.bad_reply("no upload id for an upload in parts"))?
            .upload_id()
            .to_owned();
        Ok(Self { wire: wire.clone(), key: key.clone(), id, open: true })
    }

    /// Sends all parts, and completes the upload when the body has ended as announced.
    async fn finish_with(&self, mut parts: Parts) -> Result<(), ObjectError> {
        let mut tags = Vec::new();
        while let Some(part) = parts.next().await? {
            let number = u16::try_from(tags.len() + 1).expect("part sizes keep their number small");
            tags.push(self.send_part(number, part).await?);
        }
        self.complete(&tags).await
    }

    async fn send_part(&self, number: u16, part: Bytes) -> Result<String, ObjectError> {
        let wire = &self.wire;
        let bucket = wire.bucket(self.key.class());
        let action = bucket.upload_part(Some(wire.credentials()), self.key.path(), number, &self.id);
        let response =
            wire.send(&action, HeaderMap::new(), Some(part)).await.map_err(wire.explain(self.key.class()))?;
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| wire.bad_reply("no ETag for a part"))
    }

    async fn complete(&self, tags: &[String]) -> Result<(), ObjectError> {
        let wire = &self.wire;
        let bucket = wire.bucket(self.key.class());
        let tags = tags.iter().map(String::as_str);
        let action: CompleteMultipartUpload<'_, _> =
            bucket.complete_multipart_upload(Some(wire.credentials()), self.key.path(), &self.id, tags);
        let list = Bytes::from(action.clone().body());
        let explain = || wire.explain(self.key.class());
        let response = wire.send(&action, HeaderMap::new(), Some(list)).await.map_err(explain())?;
        let status = response.status().as_u16();
        let body = wire.text(response).await.map_err(explain())?;
        // The service may send a success status first and an error in the body.
        match CompleteMultipartUploadResponse::parse(&body) {
            Ok(_) => Ok(()),
            Err(_) => Err(explain()(Failure::Refused(ServiceError::read(status, None, &body)))),
        }
    }

    fn keep(mut self) {
        self.open = false;
    }

    async fn abort(mut self) {
        self.open = false;
        abort(&self.wire, &self.key, &self.id).await;
    }
}

impl Drop for Upload {
    /// Aborts an upload whose caller is gone. The spawned task ends after its few attempts.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let (wire, key, id) = (self.wire.clone(), self.key.clone(), std::mem::take(&mut self.id));
        mitosis_background::spawn_if_in_runtime("abort-upload", async move { abort(&wire, &key, &id).await });
    }
}

async fn abort(wire: &Wire, key: &ObjectKey, id: &str) {
    let bucket = wire.bucket(key.class());
    let action = bucket.abort_multipart_upload(Some(wire.credentials()), key.path(), id);
    match wire.call(&action).await {
        Ok(_) => {}
        Err(failure) if failure.is(ServiceError::is_absence) => {}
        Err(failure) => {
            let error = wire.explain(key.class())(failure);
            tracing::warn!(%key, %error, "the parts of an upload that failed stay in the object store");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_grow_so_that_ten_thousand_suffice() {
        assert_eq!(part_size_for(20 * MIB, 8 * MIB).unwrap() as u64, 8 * MIB);
        let large = 1024 * 1024 * MIB;
        let size = part_size_for(large, 8 * MIB).unwrap() as u64;
        assert!(large.div_ceil(size) <= MAX_PARTS && size < 2 * 100 * MIB, "{size}");
        let error = part_size_for(u64::MAX, 8 * MIB).unwrap_err();
        assert!(matches!(error, ObjectError::TooLarge { .. }));
    }
}
