//! `GET /health`: the health of this coordinator and its parts.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mitosis_protocol::auth::{HealthReply, features};

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::error::{chain, is_disk_full};

/// A part that takes longer than this to respond counts as unavailable.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Routes {
    Routes::new().get("/health", Access::Public, health, "Check the health of the coordinator")
}

/// Replies 200 if database and object store respond, and 503 otherwise. The cause is in the log; the reply only has the
/// part, because the route is public.
async fn health(State(app): State<App>) -> (StatusCode, Json<HealthReply>) {
    let (database, objects) =
        tokio::join!(status_of("database", app.store.ping()), status_of("objects", app.objects.check()));
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
    // Reported, but not a reason for 503: nothing waits for Redis.
    let redis = app.announcer.is_connected().map(|connected| if connected { "ok" } else { "unavailable" });
    let is_healthy = parts.values().all(|part| part == "ok");
    // Not a reason for 503 either: other coordinators run these tasks, too, and requests do not depend on them.
    parts.insert("background".to_owned(), background);
    parts.extend(redis.map(|redis| ("redis".to_owned(), redis.to_owned())));
    let (code, status) = match is_healthy {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let features = features::ALL.map(str::to_owned).to_vec();
    (code, Json(HealthReply { status: status.to_owned(), parts, version, features }))
}

async fn status_of<E: std::error::Error + 'static>(
    part: &str,
    check: impl Future<Output = Result<(), E>>,
) -> &'static str {
    match tokio::time::timeout(TIMEOUT, check).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(part, cause = chain(&error), "a health check failed");
            if is_disk_full(&error) { "its disk is full" } else { "unavailable" }
        }
        Err(_) => "no answer in time",
    }
}
