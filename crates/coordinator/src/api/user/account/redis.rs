//! `GET /redis`: where live execution states are announced.

use axum::Json;
use mitosis_protocol::auth::RedisReply;

use crate::auth::caller::Caller;

/// Null: no Redis is configured.
pub(super) async fn redis(_: Caller) -> Json<RedisReply> {
    Json(RedisReply { url: None })
}
