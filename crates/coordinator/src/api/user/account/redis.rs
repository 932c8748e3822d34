//! `GET /redis`: where live execution states are announced.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::RedisReply;

use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;

pub(super) fn routes() -> Routes {
    Routes::new().get("/redis", Asks::Look, redis, "Where live states are announced")
}

/// Null when no Redis is configured.
async fn redis(State(app): State<App>, _: Caller) -> Json<RedisReply> {
    Json(RedisReply { url: app.announcer.client_url().map(str::to_owned) })
}
