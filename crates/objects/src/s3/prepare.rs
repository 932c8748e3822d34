//! Gets a bucket ready, and finds out whether it is.

use bytes::Bytes;
use mitosis_domain::object::{ObjectKey, Shelf};
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use rusty_s3::actions::ListObjectsV2;

use super::fault::Fault;
use super::put::put_whole;
use super::wire::{Failure, Wire};
use crate::ObjectError;

/// An object that comes and goes to prove that others can. No key of an artifact or attachment is
/// like it, as they all have a `/`.
const PROBE: &str = "mitosis-write-probe";

pub(super) async fn prepare(wire: &Wire, shelf: Shelf) -> Result<(), ObjectError> {
    match wire.call(&first_key(wire, shelf)).await {
        Ok(_) => {}
        Err(failure) if failure.is(Fault::is_missing_bucket) => create(wire, shelf).await?,
        Err(failure) => return Err(wire.explain(shelf)(failure)),
    }
    let probe = ObjectKey::from_stored(shelf, PROBE.to_owned());
    put_whole(wire, &probe, Bytes::from_static(b"\n")).await?;
    let action = wire.bucket(shelf).delete_object(Some(wire.credentials()), PROBE);
    wire.call(&action).await.map_err(wire.explain(shelf))?;
    Ok(())
}

/// Whether the service leaves an object as it is when a `PUT` says `If-None-Match: *`. Some do not know the header;
/// they refuse it, or take no notice.
pub(super) async fn is_conditional(wire: &Wire) -> Result<bool, ObjectError> {
    // Other coordinators may ask the same at this moment.
    let probe = format!("{PROBE}-{:08x}", wire.chance());
    let bucket = wire.bucket(Shelf::Artifacts);
    let put = bucket.put_object(Some(wire.credentials()), &probe);
    let only_new = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
    let mut answer = Ok(false);
    for _ in 0..2 {
        answer = match wire.send(&put, only_new.clone(), Some(Bytes::from_static(b"\n"))).await {
            Err(failure) if failure.is(Fault::is_unmet_condition) => Ok(true),
            Ok(_) | Err(Failure::Refused(_)) => Ok(false),
            Err(silence) => Err(wire.explain(Shelf::Artifacts)(silence)),
        };
    }
    let action = bucket.delete_object(Some(wire.credentials()), &probe);
    wire.call(&action).await.map_err(wire.explain(Shelf::Artifacts))?;
    answer
}

/// Whether the bucket is there and the credentials are good, asked once.
pub(super) async fn check(wire: &Wire, shelf: Shelf) -> Result<(), ObjectError> {
    wire.ask(&first_key(wire, shelf)).await.map_err(wire.explain(shelf))?;
    Ok(())
}

/// Lists the bucket rather than asking for its head: only then does a refusal come with a reason.
fn first_key(wire: &Wire, shelf: Shelf) -> ListObjectsV2<'_> {
    let mut action = wire.bucket(shelf).list_objects_v2(Some(wire.credentials()));
    action.with_max_keys(1);
    action
}

/// Creates the bucket in the service's own region. Another coordinator may be faster.
async fn create(wire: &Wire, shelf: Shelf) -> Result<(), ObjectError> {
    let bucket = wire.bucket(shelf);
    let action = bucket.create_bucket(wire.credentials());
    match wire.send(&action, HeaderMap::new(), Some(Bytes::new())).await {
        Ok(_) => tracing::info!(bucket = bucket.name(), "created a bucket"),
        Err(failure) if failure.is(Fault::is_existing_bucket) => {}
        Err(failure) => return Err(wire.explain(shelf)(failure)),
    }
    // A name that somebody else has taken is found out here.
    check(wire, shelf).await
}
