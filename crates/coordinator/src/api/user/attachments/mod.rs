//! Files that a group shares with its tasks (HTTP contract §8).

mod delete;
mod delete_many;
mod download;
mod download_many;
mod get;
mod query;
pub(in crate::api) mod removal;
mod upload;

use std::collections::BTreeSet;

use http::{HeaderMap, header};
use mitosis_domain::limits;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::attachment::{AttachmentContentType, AttachmentInfo};
use mitosis_store::ops::attachments::Attachment;

use crate::api::routes::Routes;
use crate::error::Rejection;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(upload::routes())
        .merge(query::routes())
        .merge(get::routes())
        .merge(delete::routes())
        .merge(download_many::routes())
        .merge(download::routes())
        .merge(delete_many::routes())
        .tag("attachments")
}

/// The object of a key. Replies 400 for an invalid key.
fn object(group: &str, key: &str) -> Result<ObjectKey, Rejection> {
    let group = Name::new(group).map_err(Rejection::invalid)?;
    ObjectKey::attachment(&group, key)
        .map_err(|error| Rejection::invalid(error).hint("use a key such as `data/in.csv`"))
}

/// The keys of a list without duplicates: a short key could be repeated a million times.
fn listed(keys: Vec<String>) -> Result<BTreeSet<String>, Rejection> {
    let keys = BTreeSet::from_iter(keys);
    if keys.is_empty() {
        return Err(Rejection::empty_list("keys"));
    }
    if keys.len() as u64 > limits::MAX_ROWS {
        let sentence = format!("the list has {} keys, and may have {}", keys.len(), limits::MAX_ROWS);
        return Err(Rejection::invalid(sentence).hint("split the list into several requests"));
    }
    Ok(keys)
}

/// Converts an attachment for this caller.
fn info(attachment: &Attachment, headers: &HeaderMap) -> AttachmentInfo {
    AttachmentInfo {
        content_type: content_type(headers),
        size: attachment.size,
        created_at: attachment.created_at,
        updated_at: attachment.updated_at,
    }
}

/// The Python SDK and the other legacy clients require different spellings (HTTP contract §15).
fn content_type(headers: &HeaderMap) -> AttachmentContentType {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    match agent.is_some_and(|agent| agent.starts_with("python-httpx/")) {
        true => AttachmentContentType::NotSet,
        false => AttachmentContentType::NoSet,
    }
}
