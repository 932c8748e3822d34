//! Lists a bucket page by page.

use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_protocol::Timestamp;
use rusty_s3::S3Action as _;
use rusty_s3::actions::list_objects_v2::ListObjectsContent;
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};

use super::wire::Wire;
use crate::{ObjectError, ObjectMeta};

/// The most keys that a service gives at a time.
const MAX_KEYS: usize = 1000;

pub(super) async fn list(
    wire: &Wire,
    shelf: Shelf,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ObjectMeta>, ObjectError> {
    let mut found: Vec<ObjectMeta> = Vec::new();
    while found.len() < limit {
        let after = found.last().map(|last| last.key.path()).or(after);
        let wanted = (limit - found.len()).min(MAX_KEYS);
        let page = page(wire, shelf, prefix, after, wanted).await?;
        let is_last = page.next_continuation_token.is_none() || page.contents.is_empty();
        for content in page.contents {
            let meta = read(shelf, content);
            found.push(meta.ok_or_else(|| wire.bad_reply("an object without a size or date in a list"))?);
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

async fn page(
    wire: &Wire,
    shelf: Shelf,
    prefix: &str,
    after: Option<&str>,
    wanted: usize,
) -> Result<ListObjectsV2Response, ObjectError> {
    let mut action = wire.bucket(shelf).list_objects_v2(Some(wire.credentials()));
    // Services disagree on what this encoding is, and keys hold nothing that XML can't carry.
    action.query_mut().remove("encoding-type");
    action.with_max_keys(wanted);
    if !prefix.is_empty() {
        action.with_prefix(prefix);
    }
    if let Some(after) = after {
        action.with_start_after(after);
    }
    let response = wire.call(&action).await.map_err(wire.explain(shelf))?;
    let body = wire.text(response).await.map_err(wire.explain(shelf))?;
    ListObjectsV2::parse_response(&body).map_err(|_| wire.bad_reply("a list that can't be read"))
}

fn read(shelf: Shelf, content: ListObjectsContent) -> Option<ObjectMeta> {
    let changed = Timestamp::parse(content.last_modified.as_deref()?).ok()?;
    Some(ObjectMeta { key: ObjectKey::from_stored(shelf, content.key), length: content.size?, changed })
}
