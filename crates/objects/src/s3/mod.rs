//! Stores objects in the buckets of an S3-compatible service.
//!
//! Requests are signed here (SigV4, as presigned addresses) and sent with the HTTP client; transient errors are
//! retried. Clients and workers receive presigned addresses and access the service themselves, unless they
//! can't reach it or it can't accept the object in one request.
//!
//! If the reply to the last step of a `put` is lost for good, the caller gets an error although the service may
//! have stored the object. It is then stored completely.

mod config;
mod get;
mod list;
mod prepare;
mod put;
mod service_error;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use reqwest::header::IF_NONE_MATCH;
use rusty_s3::{Bucket, S3Action};
use secrecy::ExposeSecret as _;

pub use self::config::{Addressing, LinkRoute, S3Config};
use self::service_error::ServiceError;
use self::wire::{Wire, signing_time};
use crate::link::LinkSigner;
use crate::object::exactly;
use crate::{
    ByteRange, ByteStream, Link, LinkError, ObjectBody, ObjectError, ObjectMeta, ObjectStore, Right,
    SignedAccess,
};

/// The longest validity that S3 allows.
const LONGEST_VALIDITY: Duration = Duration::from_hours(7 * 24);

/// Stores objects in two buckets.
#[derive(Debug)]
pub struct S3Store {
    wire: Arc<Wire>,
    /// The buckets as the receivers of links access them.
    public_artifacts: Bucket,
    public_attachments: Bucket,
    links: LinkRoute,
    /// Whether the service honors a `PUT` with the condition that no object exists.
    is_conditional: AtomicBool,
    part_size: u64,
    signer: LinkSigner,
}

impl S3Store {
    /// Checks the configuration without sending anything. Requests carry the time of `clock`, and services
    /// refuse one that is more than a few minutes off.
    pub fn new(
        config: &S3Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ObjectError> {
        let public = config.public_endpoint.as_ref().unwrap_or(&config.endpoint);
        Ok(Self {
            wire: Arc::new(Wire::new(config, clock, entropy)?),
            public_artifacts: config.bucket(public, &config.artifacts_bucket)?,
            public_attachments: config.bucket(public, &config.attachments_bucket)?,
            links: config.links,
            is_conditional: AtomicBool::new(false),
            part_size: config.part_size,
            signer: LinkSigner::new(link_secret(config).as_ref()),
        })
    }

    /// A link directly to the service, if clients can reach it and it accepts the size in one request.
    fn direct_put(
        &self,
        key: &ObjectKey,
        length: u64,
        condition: Option<&'static str>,
        valid: Duration,
        now: Timestamp,
    ) -> Option<Link> {
        if self.links == LinkRoute::ViaCoordinator || length > put::MAX_PART {
            return None;
        }
        let bucket = self.public_bucket(key.class());
        let mut action = bucket.put_object(Some(self.wire.credentials()), key.path());
        // A signed header must be sent as signed, so a body of another length is refused.
        action.headers_mut().insert("content-length", length.to_string());
        if let Some(condition) = condition {
            action.headers_mut().insert(IF_NONE_MATCH.as_str(), condition);
        }
        Some(Link::Direct(action.sign_with_time(valid.min(LONGEST_VALIDITY), &signing_time(now))))
    }

    fn public_bucket(&self, class: ObjectClass) -> &Bucket {
        match class {
            ObjectClass::Artifacts => &self.public_artifacts,
            ObjectClass::Attachments => &self.public_attachments,
        }
    }
}

/// The secret that signs links to the coordinator. It is derived from the secret key, so that all coordinators
/// with this configuration share it and the key can't be recovered from it.
fn link_secret(config: &S3Config) -> impl AsRef<[u8]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, config.secret_key.expose_secret().as_bytes());
    hmac::sign(&key, b"mitosis link secret 1")
}

/// Rejects keys whose meaning changes in an address: `a/../b` would become `b`.
fn check(key: &ObjectKey) -> Result<(), ObjectError> {
    if key.path().split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ObjectError::UnusableKey(key.clone()));
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn prepare(&self) -> Result<(), ObjectError> {
        for class in [ObjectClass::Artifacts, ObjectClass::Attachments] {
            prepare::prepare(&self.wire, class).await?;
        }
        if self.links == LinkRoute::Direct {
            let is_conditional = prepare::is_conditional(&self.wire).await?;
            self.is_conditional.store(is_conditional, Ordering::Relaxed);
            if !is_conditional {
                tracing::warn!(
                    "the object store ignores `If-None-Match: *`, so uploads are passed on by the coordinator"
                );
            }
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), ObjectError> {
        for class in [ObjectClass::Artifacts, ObjectClass::Attachments] {
            prepare::check(&self.wire, class).await?;
        }
        Ok(())
    }

    async fn put(&self, key: &ObjectKey, body: ByteStream, length: u64) -> Result<(), ObjectError> {
        check(key)?;
        put::put(&self.wire, key, exactly(body, length), length, self.part_size).await
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError> {
        check(key)?;
        get::get(&self.wire, key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError> {
        check(key)?;
        get::head(&self.wire, key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        check(key)?;
        let action = self.wire.bucket(key.class()).delete_object(Some(self.wire.credentials()), key.path());
        match self.wire.call(&action).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(ServiceError::is_absence) => Ok(()),
            Err(failure) => Err(self.wire.explain(key.class())(failure)),
        }
    }

    async fn list(
        &self,
        class: ObjectClass,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, ObjectError> {
        list::list(&self.wire, class, prefix, after, limit).await
    }

    fn upload_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        check(key)?;
        let link = self.direct_put(key, length, None, valid, now);
        Ok(link.unwrap_or_else(|| self.signer.sign(key, Right::Upload { length }, None, valid, now)))
    }

    fn create_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Option<Link>, ObjectError> {
        check(key)?;
        let is_conditional = self.is_conditional.load(Ordering::Relaxed);
        Ok(is_conditional.then(|| self.direct_put(key, length, Some("*"), valid, now)).flatten())
    }

    fn guarded_link(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        check(key)?;
        Ok(self.signer.sign(key, right, holder, valid, now))
    }

    fn download_link(
        &self,
        key: &ObjectKey,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        check(key)?;
        if self.links == LinkRoute::ViaCoordinator {
            return Ok(self.signer.sign(key, Right::Download, holder, valid, now));
        }
        let bucket = self.public_bucket(key.class());
        let action = bucket.get_object(Some(self.wire.credentials()), key.path());
        Ok(Link::Direct(action.sign_with_time(valid.min(LONGEST_VALIDITY), &signing_time(now))))
    }

    fn verify_link(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError> {
        self.signer.verify(method, path_and_query, now)
    }
}
