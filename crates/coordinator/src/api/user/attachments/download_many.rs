//! `POST /groups/{group}/download/attachments` and `…/list`: links to many attachments.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::attachment::{
    AttachmentDownload, AttachmentDownloadsReply, AttachmentsByFilterRequest, AttachmentsByListRequest,
};
use mitosis_store::ops::attachments::Attachment;

use super::query::page;
use super::{listed, object};
use crate::api::base_url::BaseUrl;
use crate::api::body::{Body, InPath};
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::BATCH_DOWNLOAD_VALID;
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication};
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/groups/{group}/download/attachments",
            Access::Read,
            by_filter,
            "Get links to attachments by a part of the key",
        )
        .post(
            "/groups/{group}/download/attachments/list",
            Access::Read,
            by_list,
            "Get links to listed attachments",
        )
}

/// Returns links to attachments whose key contains a text.
async fn by_filter(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByFilterRequest>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let AttachmentsByFilterRequest { key, limit, offset } = request;
    let (_, found) = page(&app, &user, &group_name, key, offset, limit, Action::View).await?;
    links(&app, &base_url, &authentication, group_name, found)
}

/// Returns links to listed attachments; unknown ones are omitted.
async fn by_list(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByListRequest>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let group = require_for_filter(&app, &user, &group_name, Action::View).await?;
    let mut found = Vec::new();
    for key in &listed(request.keys)? {
        found.extend(app.store.attachment(group, key).await?);
    }
    links(&app, &base_url, &authentication, group_name, found)
}

fn links(
    app: &App,
    base_url: &BaseUrl,
    authentication: &Authentication,
    group_name: String,
    found: Vec<Attachment>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let holder = authentication.encode();
    let mut downloads = Vec::with_capacity(found.len());
    for Attachment { key, size, .. } in found {
        let object = object(&group_name, &key)?;
        let link = app.objects.download_link(&object, Some(&holder), BATCH_DOWNLOAD_VALID, app.now())?;
        downloads.push(AttachmentDownload { key, url: base_url.resolve(link), size });
    }
    Ok(Json(AttachmentDownloadsReply { downloads, group_name }))
}
