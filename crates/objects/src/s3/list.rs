//! Lists a bucket page by page.

use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use rusty_s3::S3Action as _;
use rusty_s3::actions::list_objects_v2::ListObjectsContent;
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};

use super::wire::Wire;
use crate::{ObjectError, ObjectMeta};

/// Most keys that a service returns at a time.
const MAX_KEYS: usize = 1000;

pub(super) async fn list(
    wire: &Wire,
    class: ObjectClass,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ObjectMeta>, ObjectError> {
    let mut found: Vec<ObjectMeta> = Vec::new();
    while found.len() < limit {
        let after = found.last().map(|last| last.key.path()).or(after);
        let wanted = (limit - found.len()).min(MAX_KEYS);
        let page = page(wire, class, prefix, after, wanted).await?;
        let is_last = page.next_continuation_token.is_none() || page.contents.is_empty();
        for content in page.contents {
            let meta = read(class, content);
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
    class: ObjectClass,
    prefix: &str,
    after: Option<&str>,
    wanted: usize,
) -> Result<ListObjectsV2Response, ObjectError> {
    let mut action = wire.bucket(class).list_objects_v2(Some(wire.credentials()));
    // Services disagree about this encoding, and keys contain nothing that XML can't represent.
    action.query_mut().remove("encoding-type");
    action.with_max_keys(wanted);
    if !prefix.is_empty() {
        action.with_prefix(prefix);
    }
    if let Some(after) = after {
        action.with_start_after(after);
    }
    let response = wire.call(&action).await.map_err(wire.explain(class))?;
    let body = wire.text(response).await.map_err(wire.explain(class))?;
    ListObjectsV2::parse_response(&body).map_err(|_| wire.bad_reply("a list that can't be read"))
}

fn read(class: ObjectClass, content: ListObjectsContent) -> Option<ObjectMeta> {
    let changed = Timestamp::parse(content.last_modified.as_deref()?).ok()?;
    Some(ObjectMeta { key: ObjectKey::from_stored(class, content.key), length: content.size?, changed })
}
