//! Checks whether an upload through a link may be stored: only an upload that its record expects.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::request::Parts;
use mitosis_domain::object::ObjectKey;
use mitosis_objects::{ByteStream, Link, ObjectError, ObjectStore, Right, SignedAccess};
use mitosis_protocol::{Timestamp, UPLOAD_HEADER, UPLOADS_ONCE};
use mitosis_store::Store;
use mitosis_store::ops::artifacts::UploadRecord;
use mitosis_store::ops::expected_uploads::NewLink;
use mitosis_store::ops::uploads::AwaitedUpload;

use crate::api::user::artifacts::{UPLOAD_VALID, upload_deadline};
use crate::app::App;
use crate::error::{ApiError, chain};

/// Locks of the objects that requests write or delete at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectLocks(Arc<Mutex<HashSet<ObjectKey>>>);

/// The lock of an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct ObjectLock {
    all: ObjectLocks,
    key: ObjectKey,
}

impl ObjectLocks {
    /// Locks an object; `None` while another request holds the lock.
    pub(crate) fn lock(&self, key: &ObjectKey) -> Option<ObjectLock> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        fresh.then(|| ObjectLock { all: self.clone(), key: key.clone() })
    }

    /// Deletes an object, unless a request is writing it.
    pub(crate) async fn remove(&self, objects: &dyn ObjectStore, key: &ObjectKey) -> Result<(), ObjectError> {
        match self.lock(key) {
            Some(_guard) => objects.delete(key).await,
            None => Ok(()),
        }
    }

    /// Whether a request holds the lock of an object.
    pub(crate) fn is_locked(&self, key: &ObjectKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Whether the sender supports links that require `If-None-Match: *`. Legacy clients and workers do not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SupportsConditions(bool);

impl<S: Sync> FromRequestParts<S> for SupportsConditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(UPLOAD_HEADER).is_some_and(|value| value == UPLOADS_ONCE)))
    }
}

/// How long an upload may take once it has started.
const MAX_DURATION: Duration = Duration::from_hours(24);

impl SupportsConditions {
    /// The link of a user, for the reservation. The reservation decides whether it may lead directly to the object store.
    pub(crate) fn announce(self, app: &App, key: &ObjectKey, length: u64) -> Result<NewLink, ObjectError> {
        let may_create = self.0 && app.objects.create_link(key, length, UPLOAD_VALID, app.now())?.is_some();
        let until = app.now() + upload_deadline(length);
        Ok(NewLink { nonce: app.entropy.number(), until, may_create })
    }

    /// The link for a reserved upload. Only a new object is uploaded directly to the object store, which then refuses to
    /// overwrite it. All other uploads pass through the coordinator, which checks the record.
    pub(crate) fn link(
        self,
        app: &App,
        key: &ObjectKey,
        record: UploadRecord,
        right: Right,
        holder: Option<&str>,
    ) -> Result<Link, ObjectError> {
        let length = match right {
            Right::Upload { length } | Right::Replace { length, .. } => Some(length),
            Right::Download => None,
        };
        if self.0
            && record == UploadRecord::NewDirect
            && let Some(length) = length
            && let Some(link) = app.objects.create_link(key, length, UPLOAD_VALID, app.now())?
        {
            return Ok(link);
        }
        app.objects.guarded_link(key, right, holder, UPLOAD_VALID, app.now())
    }
}

/// Why an upload is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadRejection {
    /// No record expects this upload, or not any longer.
    NotExpected,
    /// Another request is writing the object.
    InProgress,
    /// The link has been used.
    Used,
}

/// Whether the record of an object expects this upload.
pub(super) async fn is_expected(app: &App, access: &SignedAccess) -> Result<bool, ApiError> {
    let (length, nonce) = match access.right {
        Right::Upload { length } => (length, None),
        Right::Replace { length, nonce } => (length, Some(nonce)),
        Right::Download => return Ok(false),
    };
    if access.key == ObjectKey::probe() {
        return Ok(nonce.is_none());
    }
    let Some(target) = app.store.upload_target(&access.key).await? else { return Ok(false) };
    let charged = i64::try_from(length).is_ok_and(|length| length <= target.size);
    let fits = charged
        && match target.awaits {
            AwaitedUpload::OfAttempt => nonce.is_none(),
            AwaitedUpload::None => nonce.is_some(),
            // Links of earlier versions say `upload`.
            AwaitedUpload::OfUser => true,
        };
    match nonce {
        Some(nonce) if fits => {
            Ok(app.store.begin_upload(&access.key, nonce, app.now() + MAX_DURATION, app.now()).await?)
        }
        _ => Ok(fits),
    }
}

/// Ends an upload. The group is charged for the stored size once no other upload of the object can arrive.
pub(super) async fn ended(app: &App, access: &SignedAccess, is_stored: bool) {
    let Right::Replace { length, nonce } = access.right else { return };
    let until = if is_stored { app.now() } else { app.now() + upload_deadline(length) };
    let ended = async {
        app.store.end_upload(&access.key, nonce, until).await?;
        if is_stored {
            settle(&*app.store, &*app.objects, &access.key, app.now()).await?;
        }
        Ok::<_, ApiError>(())
    };
    if let Err(error) = ended.await {
        tracing::warn!(key = %access.key, cause = chain(&error), "failed to settle the size of an object; it will be retried");
    }
}

/// Sets the size in the record of an object to the stored size, unless an upload may still change it.
pub(crate) async fn settle(
    store: &dyn Store,
    objects: &dyn ObjectStore,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<(), ApiError> {
    let Some(ended) = store.ended_uploads_of(key, now).await? else { return Ok(()) };
    let stored = objects.head(key).await?.map(|meta| i64::try_from(meta.length).unwrap_or(i64::MAX));
    match stored {
        None if ended.may_appear => Ok(()),
        stored => Ok(store.settle_size(key, &ended, stored.unwrap_or(0), now).await?),
    }
}

/// A body that fails at its end if the record no longer expects the upload, because a commit came first.
pub(super) fn with_final_check(app: &App, access: &SignedAccess, body: BodyDataStream) -> ByteStream {
    let (app, access) = (app.clone(), access.clone());
    let last = futures_util::stream::once(async move {
        match is_expected(&app, &access).await {
            Ok(true) => Ok(Bytes::new()),
            Ok(false) => Err(std::io::Error::other("the record no longer expects this upload")),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        }
    });
    boxed(body.map_err(std::io::Error::other).chain(last))
}

fn boxed(stream: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> ByteStream {
    stream.boxed()
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;
    use mitosis_domain::name::Name;
    use mitosis_objects::directory::DirectoryStore;

    use super::*;

    #[tokio::test]
    async fn object_is_not_deleted_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let objects = DirectoryStore::open(folder.path(), Arc::new(OsEntropy)).await.unwrap();
        let key = ObjectKey::attachment(&Name::new("ann").unwrap(), "x").unwrap();
        let body = futures_util::stream::once(async { Ok("abc".into()) }).boxed();
        objects.put(&key, body, 3).await.unwrap();
        let object_locks = ObjectLocks::default();
        let guard = object_locks.lock(&key).unwrap();
        for (guard, is_there) in [(Some(guard), true), (None, false)] {
            object_locks.remove(&objects, &key).await.unwrap();
            assert_eq!(objects.head(&key).await.unwrap().is_some(), is_there);
            drop(guard);
        }
    }
}
