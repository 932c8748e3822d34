//! What a scrape reads: counters, and the length of the queue and the sizes of small archives now and then.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use mitosis_protocol::ErrorCode;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::openapi::signature::{Reply, Signature};
use crate::app::App;
use crate::error::{ApiError, Rejection, chain};

/// Counting reads the whole queue, so scrapes share the result for this long.
const QUEUE_PERIOD: Duration = Duration::from_secs(15);
/// How long counting may take. A scrape waits for it.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);
/// Groups with a series of their own.
const GROUPS: u64 = 100;

/// When the queue was counted last.
#[derive(Debug, Default)]
pub(crate) struct QueueReader(Mutex<Option<Instant>>);

impl QueueReader {
    /// Counts the queue and small archives unless that was done a short while ago. After a failure, the numbers stay as
    /// they were.
    async fn refresh(&self, app: &App) {
        let mut last = self.0.lock().await;
        if last.is_some_and(|last| last.elapsed() < QUEUE_PERIOD) {
            return;
        }
        match app.store.queue_depth(GROUPS, QUEUE_TIMEOUT).await {
            Ok(depth) => app.metrics.storage.set_queue_depth(&depth),
            Err(error) => tracing::debug!(cause = chain(&error), "failed to count the queue"),
        }
        match app.store.small_archive_sizes().await {
            Ok(sizes) => app.metrics.storage.set_small_archives(&sizes),
            Err(error) => {
                tracing::debug!(cause = chain(&error), "failed to read the sizes of small archives");
            }
        }
        *last = Some(Instant::now());
    }
}

/// Metrics in the text format of OpenMetrics.
pub(crate) struct Exposition(String);

impl Exposition {
    /// All metrics of a coordinator.
    pub(crate) async fn of(app: &App) -> Result<Self, ApiError> {
        app.queue_reader.refresh(app).await;
        let text =
            app.metrics.encode(&app.background.statuses(), app.cluster_clock.missed(), &app.store.pools());
        Ok(Self(text.map_err(|error| Rejection::new(ErrorCode::Internal, error.to_string()))?))
    }
}

impl IntoResponse for Exposition {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, super::CONTENT_TYPE)], self.0).into_response()
    }
}

impl Reply for Exposition {
    fn describe(signature: &mut Signature) {
        signature.reply_text("application/openmetrics-text");
    }
}
