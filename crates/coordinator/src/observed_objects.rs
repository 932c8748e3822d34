//! Counts the errors of an object store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::{
    ByteRange, ByteStream, Link, LinkError, ObjectBody, ObjectError, ObjectMeta, ObjectStore, Right,
    SignedAccess,
};
use mitosis_protocol::Timestamp;

use crate::metrics::Metrics;

/// An object store whose errors are counted.
#[derive(Debug)]
pub(crate) struct ObservedObjects {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl ObservedObjects {
    fn counted<T>(&self, operation: &'static str, outcome: Result<T, ObjectError>) -> Result<T, ObjectError> {
        outcome.inspect_err(|error| self.metrics.storage.object_error(operation, error))
    }
}

#[async_trait]
impl ObjectStore for ObservedObjects {
    async fn prepare(&self) -> Result<(), ObjectError> {
        self.counted("prepare", self.inner.prepare().await)
    }

    async fn check(&self) -> Result<(), ObjectError> {
        self.counted("check", self.inner.check().await)
    }

    async fn put(&self, key: &ObjectKey, body: ByteStream, length: u64) -> Result<(), ObjectError> {
        self.counted("put", self.inner.put(key, body, length).await)
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError> {
        self.counted("get", self.inner.get(key, range).await)
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError> {
        self.counted("head", self.inner.head(key).await)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.counted("delete", self.inner.delete(key).await)
    }

    async fn list(
        &self,
        class: ObjectClass,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, ObjectError> {
        self.counted("list", self.inner.list(class, prefix, after, limit).await)
    }

    fn upload_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        self.counted("link", self.inner.upload_link(key, length, valid, now))
    }

    fn create_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Option<Link>, ObjectError> {
        self.counted("link", self.inner.create_link(key, length, valid, now))
    }

    fn guarded_link(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        self.counted("link", self.inner.guarded_link(key, right, holder, valid, now))
    }

    fn download_link(
        &self,
        key: &ObjectKey,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        self.counted("link", self.inner.download_link(key, holder, valid, now))
    }

    /// A bad signature is an error of the caller.
    fn verify_link(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError> {
        self.inner.verify_link(method, path_and_query, now)
    }
}
