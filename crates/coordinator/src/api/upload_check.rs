//! Checks at the commit that the announced archives of an attempt were uploaded.

use mitosis_domain::failpoints;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::ArtifactKind;
use mitosis_store::ops::dispatch::Holder;

use super::user::artifacts::upload_deadline;
use crate::app::App;

/// Announced archives that are not in the object store with the announced size. The result lists them, so that the task
/// does not count as a success. If the object store can't be reached, the result is accepted, because the command has
/// run.
pub(super) async fn missing_archives(app: &App, holder: Holder) -> Vec<ArtifactKind> {
    failpoints::point("artifact.commit:before");
    let Ok(announced) = app.store.announced_artifacts(holder).await else { return Vec::new() };
    let mut missing = Vec::new();
    for artifact in announced {
        let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
        if app.object_locks.is_locked(&key) {
            tracing::warn!(%key, "an attempt ended while one of its archives was being uploaded");
            missing.push(artifact.kind);
            settle_later(app, &key).await;
            continue;
        }
        match app.objects.head(&key).await {
            Ok(Some(stored)) if i64::try_from(stored.length) == Ok(artifact.size) => {}
            Ok(stored) => {
                let stored = stored.map(|stored| stored.length);
                tracing::warn!(%key, announced = artifact.size, ?stored, "an archive is missing or has another size than announced");
                missing.push(artifact.kind);
                settle_later(app, &key).await;
            }
            Err(error) => tracing::warn!(%key, %error, "failed to check an announced archive"),
        }
    }
    failpoints::point("artifact.commit:after");
    missing
}

/// Schedules a correction of the charged size for when no upload of the object can arrive any more.
async fn settle_later(app: &App, key: &ObjectKey) {
    let until = app.now() + upload_deadline(0);
    if let Err(error) = app.store.recheck_object(key, until).await {
        tracing::warn!(%key, %error, "failed to schedule a size correction; the announced size stays charged");
    }
}
