//! `GET /health`: whether this coordinator can do its work, and if not, what is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mitosis_protocol::auth::HealthReply;

use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::error::{chain, is_disk_full};

/// A part that takes longer than this to answer counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Routes {
    Routes::new().get("/health", Asks::Nothing, health, "Whether the coordinator can do its work")
}

/// 200 when database and object store answer, 503 otherwise. The cause is in the log; the reply names
/// only the part, since anybody may ask.
async fn health(State(app): State<App>) -> (StatusCode, Json<HealthReply>) {
    let (database, objects) =
        tokio::join!(answers("database", app.store.ping()), answers("objects", app.objects.check()));
    let mut parts = BTreeMap::from([
        ("database".to_owned(), database.to_owned()),
        ("objects".to_owned(), objects.to_owned()),
    ]);
    let failing = app.background_tasks().into_iter().filter(|task| task.failing).map(|task| task.name);
    let failing: Vec<String> = failing.collect();
    let background = match failing.is_empty() {
        true => "ok".to_owned(),
        false => format!("failing: {}", failing.join(", ")),
    };
    // Reported, but never a reason to be ill: nothing waits for Redis.
    let redis = app.announcer.is_connected().map(|connected| if connected { "ok" } else { "unavailable" });
    let well = parts.values().all(|part| part == "ok");
    // The same: other coordinators run these tasks, too, and requests are served without them.
    parts.insert("background".to_owned(), background);
    parts.extend(redis.map(|redis| ("redis".to_owned(), redis.to_owned())));
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    (code, Json(HealthReply { status: status.to_owned(), parts, version }))
}

async fn answers<E: std::error::Error + 'static>(
    part: &str,
    question: impl Future<Output = Result<(), E>>,
) -> &'static str {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(part, cause = chain(&error), "a health check failed");
            if is_disk_full(&error) { "its disk is full" } else { "unavailable" }
        }
        Err(_) => "no answer in time",
    }
}
