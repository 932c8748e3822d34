//! Whether the archives of an attempt arrived as they were announced.

use mitosis_domain::crash;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::ArtifactKind;
use mitosis_store::ops::dispatch::Holder;

use super::user::artifacts::upload_over;
use crate::app::App;

/// Announced archives that are not in the object store in their announced size. The result names them, so that the
/// task does not pass for a success. An object store that is away is not the task's error: the result stands, since
/// the command has run.
pub(super) async fn missing_archives(app: &App, holder: Holder) -> Vec<ArtifactKind> {
    crash::point("artifact.commit:before");
    let Ok(announced) = app.store.announced_artifacts(holder).await else { return Vec::new() };
    let mut missing = Vec::new();
    for artifact in announced {
        let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
        if app.uploads.is_taken(&key) {
            tracing::warn!(%key, "an attempt ended during its own upload");
            missing.push(artifact.kind);
            settle_later(app, &key).await;
            continue;
        }
        match app.objects.head(&key).await {
            Ok(Some(stored)) if i64::try_from(stored.length) == Ok(artifact.size) => {}
            Ok(stored) => {
                let stored = stored.map(|stored| stored.length);
                tracing::warn!(%key, announced = artifact.size, ?stored, "an archive did not arrive as announced");
                missing.push(artifact.kind);
                settle_later(app, &key).await;
            }
            Err(error) => tracing::warn!(%key, %error, "failed to check an announced archive"),
        }
    }
    crash::point("artifact.commit:after");
    missing
}

/// Its group is charged for what is stored, once nothing can come any more.
async fn settle_later(app: &App, key: &ObjectKey) {
    let until = app.now() + upload_over(0);
    if let Err(error) = app.store.recheck_object(key, until).await {
        tracing::warn!(%key, %error, "an archive that did not arrive stays charged as announced");
    }
}
