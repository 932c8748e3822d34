//! `GET /v1/admin/audit`: what administrators did, and who logged in.

use axum::Json;
use axum::extract::State;
use mitosis_domain::limits;
use mitosis_protocol::audit::AuditReply;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;

const ROWS: u64 = 100;

/// What follows the question mark.
#[derive(Deserialize, ToSchema)]
struct Page {
    /// Entries before the one with this id
    before: Option<i64>,
    /// Most entries; 100 unless given
    limit: Option<u64>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/admin/audit", Asks::Admin, audit, "What administrators did, and who logged in")
}

/// Newest first.
async fn audit(
    State(app): State<App>,
    AdminCaller(_): AdminCaller,
    InQuery(page): InQuery<Page>,
) -> Result<Json<AuditReply>, ApiError> {
    let limit = page.limit.unwrap_or(ROWS).min(limits::MAX_ROWS);
    Ok(Json(AuditReply { entries: app.store.audit(page.before, limit).await? }))
}
