//! `GET /v1/admin/audit`: the audit log.

use axum::Json;
use axum::extract::State;
use mitosis_domain::limits;
use mitosis_protocol::audit::AuditReply;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;

const ROWS: u64 = 100;

/// Query parameters.
#[derive(Deserialize, ToSchema)]
struct Page {
    /// Return entries before the one with this id
    before: Option<i64>,
    /// Maximum number of entries; 100 by default
    limit: Option<u64>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/admin/audit", Access::Admin, audit, "List the audit log")
}

/// Lists entries, newest first.
async fn audit(
    State(app): State<App>,
    AdminCaller(_): AdminCaller,
    InQuery(page): InQuery<Page>,
) -> Result<Json<AuditReply>, ApiError> {
    let limit = page.limit.unwrap_or(ROWS).min(limits::MAX_ROWS);
    Ok(Json(AuditReply { entries: app.store.audit(page.before, limit).await? }))
}
