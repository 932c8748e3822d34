//! Notifications about ended jobs: requests to send, and what came of them.

mod deliver;
mod key;
mod read;
pub(crate) mod write;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::notify::NotificationInfo;

use crate::StoreError;
use crate::backend::Backend;
use crate::ops::Actor;
use crate::ops::webhooks::{
    DueWebhook, TakenWebhook, UndeliveredWebhooks, WebhookKey, WebhookOutcome, Webhooks,
};

/// What came of a request that is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookEnd {
    Delivered,
    Failed,
}

#[async_trait]
impl<B: Backend> Webhooks for B {
    async fn due_webhooks(
        &self,
        now: Timestamp,
        without: &[String],
        limit: u64,
    ) -> Result<Vec<DueWebhook>, StoreError> {
        self.read((now, without.to_vec(), limit), |db, (now, without, limit)| {
            Box::pin(deliver::due(db, *now, without, *limit))
        })
        .await
    }

    async fn take_webhooks(
        &self,
        ids: &[i64],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<TakenWebhook>, StoreError> {
        self.write((ids.to_vec(), now, until), |db, (ids, now, until)| {
            Box::pin(deliver::take(db, ids, *now, *until))
        })
        .await
    }

    async fn record_webhook(
        &self,
        id: i64,
        attempt: i64,
        outcome: &WebhookOutcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write((id, attempt, outcome.clone(), now), |db, (id, attempt, outcome, now)| {
            Box::pin(deliver::record(db, *id, *attempt, outcome, *now))
        })
        .await
    }

    async fn webhooks_of_job(&self, job: JobId) -> Result<Vec<NotificationInfo>, StoreError> {
        self.read(job, |db, job| Box::pin(read::of_job(db, *job))).await
    }

    async fn undelivered_webhooks(&self) -> Result<UndeliveredWebhooks, StoreError> {
        self.read((), |db, ()| Box::pin(read::undelivered(db))).await
    }

    async fn delete_webhooks(&self, created_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write_statement((created_before, limit), |db, (created_before, limit)| {
            Box::pin(deliver::delete(db, *created_before, *limit))
        })
        .await
    }

    async fn webhook_key(
        &self,
        by: Actor,
        group: GroupId,
        proposal: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookKey>, StoreError> {
        self.write((by, group, proposal.to_owned(), now), |db, (by, group, proposal, now)| {
            Box::pin(key::get(db, *by, *group, proposal, *now))
        })
        .await
    }

    async fn replace_webhook_key(
        &self,
        by: Actor,
        group: GroupId,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookKey>, StoreError> {
        self.write((by, group, secret.to_owned(), now), |db, (by, group, secret, now)| {
            Box::pin(key::replace(db, *by, *group, secret, *now))
        })
        .await
    }
}
