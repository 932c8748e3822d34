//! Sends notifications about ended jobs.
//!
//! The end of a job writes the requests in its own transaction. Every coordinator takes due requests, a few for each
//! receiver, sends them, and records what came of them. A slow receiver delays only its own. If a coordinator stops before it
//! has recorded an outcome, the request is sent again, with the same id. No task ever waits for a notification.

pub(crate) mod key;
mod request;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use mitosis_domain::failpoints;
use mitosis_domain::notify::{AllowedReceivers, Receiver, next_attempt};
use mitosis_protocol::notify::NotificationBody;
use mitosis_store::StoreError;
use mitosis_store::ops::webhooks::{DueWebhook, TakenWebhook, WebhookOutcome};

use crate::app::App;
use crate::error::chain;
use request::{Answer, Sender, Undelivered};

/// How often due requests are looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// Requests in flight.
const CONCURRENCY: usize = 64;
/// Requests in flight to one receiver.
const PER_RECEIVER: usize = 4;
/// Due requests that are looked at together.
const BATCH_SIZE: u64 = 200;
/// How long no other coordinator sends a request that this one has taken: longer than a request lasts.
const TAKEN_FOR: Duration = Duration::from_secs(20);
/// How long requests in flight may last when the coordinator stops.
const GRACE: Duration = Duration::from_secs(3);

/// What a coordinator needs to send notifications.
#[derive(Debug)]
pub(crate) struct Notify {
    /// The receivers that the administrator allows.
    pub(crate) allowed: AllowedReceivers,
    sender: Sender,
}

impl Notify {
    pub(crate) fn new(allowed: AllowedReceivers) -> Self {
        Self { sender: Sender::new(&allowed), allowed }
    }
}

/// Sends notifications until the application stops.
pub(crate) async fn serve(app: App) {
    let mut deliveries = Deliveries::new(app.clone());
    while !app.stopping.is_cancelled() {
        if let Err(error) = deliveries.start_due().await {
            tracing::warn!(cause = chain(&error), "failed to read due notifications; it will be retried");
        }
        tokio::select! {
            Some(origin) = deliveries.running.next() => deliveries.finished(&origin),
            () = tokio::time::sleep(PERIOD) => {}
            () = app.stopping.cancelled() => {}
        }
    }
    // The rest is sent again later, perhaps for the second time.
    let _ = tokio::time::timeout(GRACE, deliveries.finish()).await;
}

/// The requests in flight.
struct Deliveries {
    app: App,
    running: FuturesUnordered<BoxFuture<'static, String>>,
    /// The number of requests in flight by receiver.
    in_flight: HashMap<String, usize>,
}

impl Deliveries {
    fn new(app: App) -> Self {
        Self { app, running: FuturesUnordered::new(), in_flight: HashMap::new() }
    }

    /// Takes due requests as long as there is room for some.
    async fn start_due(&mut self) -> Result<(), StoreError> {
        while self.running.len() < CONCURRENCY {
            let now = self.app.now();
            let due = self.app.store.due_webhooks(now, &self.busy(), BATCH_SIZE).await?;
            let ids = self.choose(due);
            if ids.is_empty() {
                return Ok(());
            }
            let taken = self.app.store.take_webhooks(&ids, now, now + TAKEN_FOR).await?;
            if taken.is_empty() {
                // Another coordinator was faster.
                return Ok(());
            }
            for webhook in taken {
                self.start(webhook);
            }
        }
        Ok(())
    }

    /// Receivers that get no more requests for now.
    fn busy(&self) -> Vec<String> {
        let is_busy = |(_, count): &(&String, &usize)| **count >= PER_RECEIVER;
        self.in_flight.iter().filter(is_busy).map(|(origin, _)| origin.clone()).collect()
    }

    /// Chooses due requests, a few for each receiver.
    fn choose(&self, due: Vec<DueWebhook>) -> Vec<i64> {
        let mut in_flight = self.in_flight.clone();
        let mut ids = Vec::new();
        for DueWebhook { id, origin } in due {
            let count = in_flight.entry(origin).or_default();
            if *count < PER_RECEIVER && self.running.len() + ids.len() < CONCURRENCY {
                *count += 1;
                ids.push(id);
            }
        }
        ids
    }

    fn start(&mut self, webhook: TakenWebhook) {
        *self.in_flight.entry(webhook.origin.clone()).or_default() += 1;
        self.running.push(deliver(self.app.clone(), webhook).boxed());
    }

    fn finished(&mut self, origin: &str) {
        if let Some(count) = self.in_flight.get_mut(origin) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(origin);
            }
        }
    }

    async fn finish(&mut self) {
        while let Some(origin) = self.running.next().await {
            self.finished(&origin);
        }
    }
}

/// Sends a request and records what came of it. Returns the receiver.
async fn deliver(app: App, webhook: TakenWebhook) -> String {
    let outcome = match send(&app, &webhook).await {
        Ok(sent) => outcome(&app, &webhook, sent),
        Err(error) => {
            tracing::warn!(job = webhook.job.0, cause = chain(&error), "failed to read the key of a group");
            return webhook.origin;
        }
    };
    failpoints::point("notify.record:before");
    let recorded = app.store.record_webhook(webhook.id, webhook.attempt, &outcome, app.now()).await;
    match recorded {
        Ok(true) => report(&app, &webhook, &outcome),
        Ok(false) => {}
        Err(error) => {
            let cause = chain(&error);
            tracing::warn!(job = webhook.job.0, cause, "failed to record a notification; it is sent again");
        }
    }
    webhook.origin
}

/// Sends a request, if its receiver is still allowed.
async fn send(app: &App, webhook: &TakenWebhook) -> Result<Result<Answer, Undelivered>, StoreError> {
    let receiver = match Receiver::parse(&webhook.url) {
        Ok(receiver) if app.notify.allowed.allows(&receiver) => receiver,
        Ok(_) | Err(_) => return Ok(Err(Undelivered::NotAllowed)),
    };
    let key = key::of_group(app, webhook.group).await?;
    Ok(app.notify.sender.send(&receiver, &message(app, webhook), &key, app.now()).await)
}

/// The id and the body of a request. The id is the same in each attempt.
fn message(app: &App, webhook: &TakenWebhook) -> request::Message {
    let id = format!("msg_{}_{}", webhook.created_at.unix_micros(), webhook.id);
    request::Message { id, body: with_link(app, webhook).unwrap_or_else(|| webhook.event.clone()) }
}

/// Adds a link to the job, if the coordinator has a public address.
fn with_link(app: &App, webhook: &TakenWebhook) -> Option<String> {
    let base = app.public_url.as_ref()?.as_str().trim_end_matches('/');
    let mut body: NotificationBody = serde_json::from_str(&webhook.event).ok()?;
    body.data.url = Some(format!("{base}/v1/jobs/{}", webhook.job.0));
    serde_json::to_string(&body).ok()
}

fn outcome(app: &App, webhook: &TakenWebhook, sent: Result<Answer, Undelivered>) -> WebhookOutcome {
    let error = match sent {
        Ok(Answer::Accepted) => return WebhookOutcome::Delivered,
        Ok(Answer::Refused(status)) => Undelivered::Status(status),
        Err(error) => error,
    };
    let attempts = u32::try_from(webhook.attempt).unwrap_or(u32::MAX);
    let next = match error {
        // The receiver is gone for good.
        Undelivered::Status(http::StatusCode::GONE) => None,
        _ => next_attempt(attempts, webhook.created_at, app.now(), app.entropy.fraction()),
    };
    WebhookOutcome::Failed { error: error.to_string(), next }
}

fn report(app: &App, webhook: &TakenWebhook, outcome: &WebhookOutcome) {
    let TakenWebhook { job, origin, attempt, .. } = webhook;
    match outcome {
        WebhookOutcome::Delivered => {
            tracing::info!(job = job.0, receiver = origin, attempt, "delivered a notification");
            app.metrics.notification("delivered");
        }
        WebhookOutcome::Failed { error, next: Some(next) } => {
            tracing::info!(job = job.0, receiver = origin, attempt, error, %next, "a notification failed; it will be sent again");
            app.metrics.notification("failed");
        }
        WebhookOutcome::Failed { error, next: None } => {
            tracing::warn!(
                job = job.0,
                receiver = origin,
                attempt,
                error,
                "a notification failed for the last time"
            );
            app.metrics.notification("abandoned");
        }
    }
}
