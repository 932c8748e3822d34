//! Reads an object or its metadata.

use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Timestamp;
use reqwest::Response;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RANGE,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::service_error::ServiceError;
use super::wire::Wire;
use crate::{ByteRange, ObjectBody, ObjectError, ObjectMeta};

pub(super) async fn get(
    wire: &Wire,
    key: &ObjectKey,
    range: Option<ByteRange>,
) -> Result<ObjectBody, ObjectError> {
    let action = wire.bucket(key.class()).get_object(Some(wire.credentials()), key.path());
    let mut headers = HeaderMap::new();
    if let Some(range) = range {
        let range = HeaderValue::try_from(range.header()).expect("digits are a header");
        headers.insert(RANGE, range);
    }
    let response = match wire.send(&action, headers, None).await {
        Ok(response) => response,
        Err(failure) if failure.is(ServiceError::is_range_outside) => {
            return Err(range_outside(wire, key).await?);
        }
        Err(failure) => return Err(wire.explain_object(key)(failure)),
    };
    let length =
        number(&response, &CONTENT_LENGTH).ok_or_else(|| wire.bad_reply("an object of unknown length"))?;
    let (offset, total) = match range {
        None => (0, length),
        Some(_) => {
            content_range(&response).ok_or_else(|| wire.bad_reply("the whole object instead of a part"))?
        }
    };
    let version = text(&response, &ETAG).filter(|tag| tag.starts_with('"')).map(str::to_owned);
    Ok(ObjectBody { length, offset, total, version, stream: wire.stream(response) })
}

pub(super) async fn head(wire: &Wire, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError> {
    let action = wire.bucket(key.class()).head_object(Some(wire.credentials()), key.path());
    let response = match wire.call(&action).await {
        Ok(response) => response,
        Err(failure) if failure.is(ServiceError::is_absence) => return Ok(None),
        Err(failure) => return Err(wire.explain(key.class())(failure)),
    };
    let length =
        number(&response, &CONTENT_LENGTH).ok_or_else(|| wire.bad_reply("an object of unknown length"))?;
    let changed = last_modified(&response).ok_or_else(|| wire.bad_reply("an object without a date"))?;
    Ok(Some(ObjectMeta { key: key.clone(), length, changed }))
}

/// The error for a range outside of the object. The refusal of a service doesn't always include the size of the
/// object.
async fn range_outside(wire: &Wire, key: &ObjectKey) -> Result<ObjectError, ObjectError> {
    let meta = head(wire, key).await?;
    Ok(meta.map_or_else(
        || ObjectError::NotFound(key.clone()),
        |meta| ObjectError::RangeOutside { total: meta.length },
    ))
}

fn text<'a>(response: &'a Response, header: &HeaderName) -> Option<&'a str> {
    response.headers().get(header)?.to_str().ok()
}

fn number(response: &Response, header: &HeaderName) -> Option<u64> {
    text(response, header)?.parse().ok()
}

/// The offset and total of a header such as `bytes 5-9/100`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let (span, total) = text(response, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()?))
}

fn last_modified(response: &Response) -> Option<Timestamp> {
    OffsetDateTime::parse(text(response, &LAST_MODIFIED)?, &Rfc2822).ok().map(Timestamp::from)
}
