//! Files that a group shares with its tasks (HTTP contract §8).

mod delete;
mod delete_many;
mod download;
mod download_many;
mod get;
mod query;
pub(in crate::api) mod removal;
mod upload;

use axum::Router;
use axum::routing::{get as on_get, post};
use http::{HeaderMap, header};
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::attachment::{AttachmentContentType, AttachmentInfo};
use mitosis_store::ops::attachments::Attachment;

use crate::app::App;
use crate::error::Refusal;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/groups/{group}/attachments", post(upload::upload))
        .route(
            "/groups/{group}/attachments/query",
            post(query::query).get(get::get_query).delete(delete::delete_query),
        )
        .route("/groups/{group}/attachments/{*key}", on_get(get::get).delete(delete::delete))
        .route("/groups/{group}/download/attachments", post(download_many::by_filter))
        .route(
            "/groups/{group}/download/attachments/list",
            post(download_many::by_list).get(download::download_list),
        )
        .route("/groups/{group}/download/attachments/{*key}", on_get(download::download))
        .route("/groups/{group}/delete/attachments", post(delete_many::by_filter))
        .route("/groups/{group}/delete/attachments/list", post(delete_many::by_list))
}

/// The stored object behind a key; 400 for a key that can't be one.
fn object(group: &str, key: &str) -> Result<ObjectKey, Refusal> {
    let group = Name::new(group).map_err(Refusal::invalid)?;
    ObjectKey::attachment(&group, key)
        .map_err(|error| Refusal::invalid(error).hint("a key is like `data/in.csv`"))
}

/// An attachment as the contract shows it to this caller.
fn info(attachment: &Attachment, headers: &HeaderMap) -> AttachmentInfo {
    AttachmentInfo {
        content_type: content_type(headers),
        size: attachment.size,
        created_at: attachment.created_at,
        updated_at: attachment.updated_at,
    }
}

/// The published SDK and the other published clients insist on different spellings (HTTP contract §15).
fn content_type(headers: &HeaderMap) -> AttachmentContentType {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    match agent.is_some_and(|agent| agent.starts_with("python-httpx/")) {
        true => AttachmentContentType::NotSet,
        false => AttachmentContentType::NoSet,
    }
}
