//! `GET /redis`: where live execution states are announced.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::RedisReply;

use crate::app::App;
use crate::auth::caller::Caller;

/// Null when no Redis is configured.
pub(super) async fn redis(State(app): State<App>, _: Caller) -> Json<RedisReply> {
    Json(RedisReply { url: app.announcer.client_url().map(str::to_owned) })
}
