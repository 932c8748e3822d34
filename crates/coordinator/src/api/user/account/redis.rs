//! `GET /redis`: the Redis server of live execution states.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::RedisReply;

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;

pub(super) fn routes() -> Routes {
    Routes::new().get("/redis", Access::Read, redis, "Get the Redis server of live states")
}

/// Replies `null` if Redis is not configured.
async fn redis(State(app): State<App>, _: Caller) -> Json<RedisReply> {
    Json(RedisReply { url: app.announcer.client_url().map(str::to_owned) })
}
