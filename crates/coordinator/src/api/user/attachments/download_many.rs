//! `POST /groups/{group}/download/attachments` and `…/list`: links to many files.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::attachment::{
    AttachmentDownload, AttachmentDownloadsReply, AttachmentsByFilterRequest, AttachmentsByListRequest,
};
use mitosis_store::ops::attachments::Attachment;

use super::query::page;
use super::{listed, object};
use crate::api::body::{Body, InPath};
use crate::api::members::require_for_filter;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::artifacts::BATCH_DOWNLOAD_VALID;
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing};
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/groups/{group}/download/attachments",
            Asks::Look,
            by_filter,
            "Links to files whose key contains a text",
        )
        .post(
            "/groups/{group}/download/attachments/list",
            Asks::Look,
            by_list,
            "Links to the files of a list",
        )
}

/// Those whose key contains a text.
async fn by_filter(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByFilterRequest>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let AttachmentsByFilterRequest { key, limit, offset } = request;
    let (_, found) = page(&app, &user, &group_name, key, offset, limit, Action::View).await?;
    links(&app, &origin, &standing, group_name, found)
}

/// Those of a list; unknown ones are left out.
async fn by_list(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByListRequest>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let group = require_for_filter(&app, &user, &group_name, Action::View).await?;
    let mut found = Vec::new();
    for key in &listed(request.keys)? {
        found.extend(app.store.attachment(group, key).await?);
    }
    links(&app, &origin, &standing, group_name, found)
}

fn links(
    app: &App,
    origin: &Origin,
    standing: &Standing,
    group_name: String,
    found: Vec<Attachment>,
) -> Result<Json<AttachmentDownloadsReply>, ApiError> {
    let holder = standing.written();
    let mut downloads = Vec::with_capacity(found.len());
    for Attachment { key, size, .. } in found {
        let object = object(&group_name, &key)?;
        let link = app.objects.download_link(&object, Some(&holder), BATCH_DOWNLOAD_VALID, app.now())?;
        downloads.push(AttachmentDownload { key, url: origin.resolve(link), size });
    }
    Ok(Json(AttachmentDownloadsReply { downloads, group_name }))
}
