//! What may be stored through a link, and when: a link is good for what its record waits for, and no more.

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
use mitosis_store::ops::expected_uploads::NewLink;
use mitosis_store::ops::uploads::AwaitedUpload;

use crate::api::user::artifacts::{UPLOAD_VALID, upload_over};
use crate::app::App;
use crate::error::{ApiError, chain};

/// Objects that are written or removed at this moment, each by one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<HashSet<ObjectKey>>>);

/// The right to write or remove an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: Uploads,
    key: ObjectKey,
}

impl Uploads {
    /// The place of an object; none while somebody else has it.
    pub(crate) fn enter(&self, key: &ObjectKey) -> Option<Place> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        fresh.then(|| Place { all: self.clone(), key: key.clone() })
    }

    /// Removes an object, unless a request stores it at this moment.
    pub(crate) async fn remove(&self, objects: &dyn ObjectStore, key: &ObjectKey) -> Result<(), ObjectError> {
        match self.enter(key) {
            Some(_place) => objects.delete(key).await,
            None => Ok(()),
        }
    }

    /// Whether somebody has it.
    pub(crate) fn is_taken(&self, key: &ObjectKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Whether the sender of a request knows links that ask for `If-None-Match: *`. Published clients and workers do not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnowsConditions(bool);

impl<S: Sync> FromRequestParts<S> for KnowsConditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(UPLOAD_HEADER).is_some_and(|value| value == UPLOADS_ONCE)))
    }
}

/// How long an upload may take that has begun.
const LONGEST: Duration = Duration::from_hours(24);

impl KnowsConditions {
    /// A link of a user, to be announced. Whether it goes straight to the storage is seen with the record.
    pub(crate) fn announce(self, app: &App, key: &ObjectKey, length: u64) -> Result<NewLink, ObjectError> {
        let may_create = self.0 && app.objects.create_link(key, length, UPLOAD_VALID, app.now())?.is_some();
        let until = app.now() + upload_over(length);
        Ok(NewLink { nonce: app.entropy.number(), until, may_create })
    }

    /// A link for an upload that its record waits for. Only what is new goes straight to the storage, which lets nobody
    /// change it afterwards; all other uploads are passed on, and the record is asked.
    pub(crate) fn link(
        self,
        app: &App,
        key: &ObjectKey,
        is_new: bool,
        right: Right,
        holder: Option<&str>,
    ) -> Result<Link, ObjectError> {
        let length = match right {
            Right::Upload { length } | Right::Replace { length, .. } => Some(length),
            Right::Download => None,
        };
        if self.0
            && is_new
            && let Some(length) = length
            && let Some(link) = app.objects.create_link(key, length, UPLOAD_VALID, app.now())?
        {
            return Ok(link);
        }
        app.objects.guarded_link(key, right, holder, UPLOAD_VALID, app.now())
    }
}

/// Why nothing may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The record is gone, has what it waited for, or never was.
    NothingWaits,
    /// Another request stores it at this moment.
    UnderWay,
    /// The link was used.
    Used,
}

/// Whether the record of an object waits for an upload of this kind.
pub(super) async fn waits(app: &App, access: &SignedAccess) -> Result<bool, ApiError> {
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
            Ok(app.store.begin_upload(&access.key, nonce, app.now() + LONGEST, app.now()).await?)
        }
        _ => Ok(fits),
    }
}

/// An upload is stored, or was broken off. What it leaves is charged as soon as no other one may come.
pub(super) async fn ended(app: &App, access: &SignedAccess, is_stored: bool) {
    let Right::Replace { length, nonce } = access.right else { return };
    let until = if is_stored { app.now() } else { app.now() + upload_over(length) };
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

/// Brings the record of an object to the size of what is stored, unless an upload may still change that.
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

/// A body that fails at its end if the record does not wait any more: a commit may have come first.
pub(super) fn until_the_end(app: &App, access: &SignedAccess, body: BodyDataStream) -> ByteStream {
    let (app, access) = (app.clone(), access.clone());
    let last = futures_util::stream::once(async move {
        match waits(&app, &access).await {
            Ok(true) => Ok(Bytes::new()),
            Ok(false) => Err(std::io::Error::other("the record does not wait for this any more")),
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
    async fn object_that_is_stored_at_this_moment_is_not_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let objects = DirectoryStore::open(folder.path(), Arc::new(OsEntropy)).await.unwrap();
        let key = ObjectKey::attachment(&Name::new("ann").unwrap(), "x").unwrap();
        let body = futures_util::stream::once(async { Ok("abc".into()) }).boxed();
        objects.put(&key, body, 3).await.unwrap();
        let uploads = Uploads::default();
        let place = uploads.enter(&key).unwrap();
        for (place, is_there) in [(Some(place), true), (None, false)] {
            uploads.remove(&objects, &key).await.unwrap();
            assert_eq!(objects.head(&key).await.unwrap().is_some(), is_there);
            drop(place);
        }
    }
}
