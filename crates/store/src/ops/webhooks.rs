//! Notifications about ended jobs: requests to send, and what came of them.
//!
//! The transaction that records the end of a job also writes the requests. A coordinator takes due ones for a while, sends
//! them, and records the outcomes. If it stops in between, they are due again. So each is sent at least once.

use std::fmt;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::notify::{NotificationInfo, NotifyOn};

use crate::StoreError;
use crate::ops::Actor;

/// A notification of a new job, which the caller has checked.
#[derive(Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// The URL; it may be a credential.
    pub url: String,
    /// Its scheme, host and port.
    pub origin: String,
    /// Which ends of the job cause it.
    pub on: NotifyOn,
}

impl fmt::Debug for NewWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewWebhook")
            .field("origin", &self.origin)
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

/// A due request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueWebhook {
    /// The number.
    pub id: i64,
    /// Scheme, host and port of its URL.
    pub origin: String,
}

/// A request that the caller has to send.
#[derive(Clone, PartialEq, Eq)]
pub struct TakenWebhook {
    /// The number.
    pub id: i64,
    /// The job that ended.
    pub job: JobId,
    /// The group of the job.
    pub group: GroupId,
    /// The URL.
    pub url: String,
    /// Its scheme, host and port.
    pub origin: String,
    /// The body as JSON, a [`NotificationBody`](mitosis_protocol::notify::NotificationBody) without a link.
    pub event: String,
    /// The number of this attempt, from 1.
    pub attempt: i64,
    /// When the job ended.
    pub created_at: Timestamp,
}

impl fmt::Debug for TakenWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, job, origin, attempt, .. } = self;
        f.debug_struct("TakenWebhook")
            .field("id", id)
            .field("job", job)
            .field("origin", origin)
            .field("attempt", attempt)
            .finish_non_exhaustive()
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// The receiver has accepted the request.
    Delivered,
    /// The request failed.
    Failed {
        /// Why.
        error: String,
        /// When it is sent again; never unless set.
        next: Option<Timestamp>,
    },
}

/// Requests that have not been accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UndeliveredWebhooks {
    /// Those that will be sent.
    pub waiting: u64,
    /// Those of them that failed at least once.
    pub failing: u64,
    /// Those that are not sent again, as long as they are kept.
    pub failed: u64,
    /// When the oldest of those that will be sent was written.
    pub oldest: Option<Timestamp>,
}

/// The key that signs the notifications of a group, and the one before it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey {
    /// The key, in the form in which it was proposed.
    pub secret: String,
    /// The key before the last change.
    pub previous: Option<String>,
    /// When the key was created.
    pub created_at: Timestamp,
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKey").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

/// Operations on notifications about ended jobs.
#[async_trait]
pub trait Webhooks {
    /// Reads due requests, the longest due first, except those to the given origins.
    async fn due_webhooks(
        &self,
        now: Timestamp,
        without: &[String],
        limit: u64,
    ) -> Result<Vec<DueWebhook>, StoreError>;

    /// Takes those of the requests that are due. No other caller gets them before `until`.
    async fn take_webhooks(
        &self,
        ids: &[i64],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<TakenWebhook>, StoreError>;

    /// Records what came of an attempt. Returns false, and records nothing, if another one has begun since.
    async fn record_webhook(
        &self,
        id: i64,
        attempt: i64,
        outcome: &WebhookOutcome,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Reads the notifications of a job: what was sent, and, until it has ended, what will be.
    async fn webhooks_of_job(&self, job: JobId) -> Result<Vec<NotificationInfo>, StoreError>;

    /// Counts the requests that have not been accepted.
    async fn undelivered_webhooks(&self) -> Result<UndeliveredWebhooks, StoreError>;

    /// Deletes up to `limit` requests that were written before a time; returns their number.
    async fn delete_webhooks(&self, created_before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Reads the key of a group. The first proposal is stored. Returns `None` if the actor may not read it.
    async fn webhook_key(
        &self,
        by: Actor,
        group: GroupId,
        proposal: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookKey>, StoreError>;

    /// Replaces the key of a group. Returns `None` if the actor may not do that.
    async fn replace_webhook_key(
        &self,
        by: Actor,
        group: GroupId,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookKey>, StoreError>;
}
