//! Prepares and checks a bucket.

use bytes::Bytes;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use rusty_s3::actions::ListObjectsV2;

use super::put::put_whole;
use super::service_error::ServiceError;
use super::wire::{Failure, Wire};
use crate::ObjectError;

/// The object that is written and removed to check the permissions. Keys of artifacts and attachments all
/// contain a `/`, so none is equal.
const PROBE: &str = "mitosis-write-probe";

pub(super) async fn prepare(wire: &Wire, class: ObjectClass) -> Result<(), ObjectError> {
    match wire.call(&first_key(wire, class)).await {
        Ok(_) => {}
        Err(failure) if failure.is(ServiceError::is_missing_bucket) => create(wire, class).await?,
        Err(failure) => return Err(wire.explain(class)(failure)),
    }
    let probe = ObjectKey::from_stored(class, PROBE.to_owned());
    put_whole(wire, &probe, Bytes::from_static(b"\n")).await?;
    let action = wire.bucket(class).delete_object(Some(wire.credentials()), PROBE);
    wire.call(&action).await.map_err(wire.explain(class))?;
    Ok(())
}

/// Whether the service keeps an existing object when a `PUT` has `If-None-Match: *`. Some services refuse or
/// ignore the header.
pub(super) async fn is_conditional(wire: &Wire) -> Result<bool, ObjectError> {
    // Other coordinators may check at the same time.
    let probe = format!("{PROBE}-{:08x}", wire.chance());
    let bucket = wire.bucket(ObjectClass::Artifacts);
    let put = bucket.put_object(Some(wire.credentials()), &probe);
    let only_new = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
    let mut answer = Ok(false);
    for _ in 0..2 {
        answer = match wire.send(&put, only_new.clone(), Some(Bytes::from_static(b"\n"))).await {
            Err(failure) if failure.is(ServiceError::is_unmet_condition) => Ok(true),
            Ok(_) | Err(Failure::Refused(_)) => Ok(false),
            Err(silence) => Err(wire.explain(ObjectClass::Artifacts)(silence)),
        };
    }
    let action = bucket.delete_object(Some(wire.credentials()), &probe);
    wire.call(&action).await.map_err(wire.explain(ObjectClass::Artifacts))?;
    answer
}

/// Checks once that the bucket exists and the credentials are valid.
pub(super) async fn check(wire: &Wire, class: ObjectClass) -> Result<(), ObjectError> {
    wire.ask(&first_key(wire, class)).await.map_err(wire.explain(class))?;
    Ok(())
}

/// Lists the bucket instead of requesting its head: only then does a refusal include a reason.
fn first_key(wire: &Wire, class: ObjectClass) -> ListObjectsV2<'_> {
    let mut action = wire.bucket(class).list_objects_v2(Some(wire.credentials()));
    action.with_max_keys(1);
    action
}

/// Creates the bucket in the service's own region. Another coordinator may be faster.
async fn create(wire: &Wire, class: ObjectClass) -> Result<(), ObjectError> {
    let bucket = wire.bucket(class);
    let action = bucket.create_bucket(wire.credentials());
    match wire.send(&action, HeaderMap::new(), Some(Bytes::new())).await {
        Ok(_) => tracing::info!(bucket = bucket.name(), "created a bucket"),
        Err(failure) if failure.is(ServiceError::is_existing_bucket) => {}
        Err(failure) => return Err(wire.explain(class)(failure)),
    }
    // A name that another account owns is detected here.
    check(wire, class).await
}
