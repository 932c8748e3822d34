//! `POST /groups/{group}/attachments/query`: lists the attachments of a group by key.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use mitosis_domain::account::User;
use mitosis_domain::ids::GroupId;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::attachment::{AttachmentRow, QueryAttachmentsReply, QueryAttachmentsRequest};
use mitosis_store::ops::attachments::{Attachment, AttachmentQuery};

use super::info;
use crate::api::body::{Body, InPath};
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/groups/{group}/attachments/query", Access::Read, query, "List attachments by key")
}

/// With `count`, replies with the number of matches and no rows.
async fn query(
    State(app): State<App>,
    Caller(user): Caller,
    headers: HeaderMap,
    InPath(group_name): InPath<String>,
    Body(request): Body<QueryAttachmentsRequest>,
) -> Result<Json<QueryAttachmentsReply>, ApiError> {
    if request.count {
        let group = require_for_filter(&app, &user, &group_name, Action::View).await?;
        let query = AttachmentQuery { group, key_contains: request.key };
        let count = app.store.count_attachments(&query).await?;
        return Ok(Json(QueryAttachmentsReply { count, attachments: Vec::new(), group_name }));
    }
    let (_, found) =
        page(&app, &user, &group_name, request.key, request.offset, request.limit, Action::View).await?;
    let row = |attachment: &Attachment| AttachmentRow {
        key: attachment.key.clone(),
        info: info(attachment, &headers),
    };
    let attachments: Vec<_> = found.iter().map(row).collect();
    Ok(Json(QueryAttachmentsReply { count: attachments.len() as u64, attachments, group_name }))
}

/// One page of the attachments of a group, for a user with the permission. Replies 400 to outsiders.
pub(super) async fn page(
    app: &App,
    user: &User,
    group: &str,
    key: Option<String>,
    offset: Option<u64>,
    limit: Option<u64>,
    action: Action,
) -> Result<(GroupId, Vec<Attachment>), ApiError> {
    let group = require_for_filter(app, user, group, action).await?;
    let query = AttachmentQuery { group, key_contains: key };
    let limit = limit.unwrap_or(limits::MAX_ROWS).min(limits::MAX_ROWS);
    Ok((group, app.store.query_attachments(&query, offset.unwrap_or(0), limit).await?))
}
