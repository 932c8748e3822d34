//! Deletes objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::ObjectKey;

use crate::api::UPLOAD_VALID;
use crate::app::App;
use crate::error::{ApiError, chain};

/// How often to look.
const PERIOD: Duration = Duration::from_secs(30);
/// Most objects that one pass deletes.
const AT_ONCE: u32 = 100;
/// How long links to an object may work after it was noted: a late upload is removed after that. Their
/// bytes may be on the way for a while.
const LINKS: Duration = Duration::from_secs(UPLOAD_VALID.as_secs() + 600);
/// When to try again what could not be deleted.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs the pass until the application stops.
pub(super) async fn run(app: App) {
    while super::pause(&app, PERIOD).await {
        match pass(&app).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "deleted objects that nothing needs any more"),
            Err(error) => tracing::warn!(cause = chain(&error), "could not delete garbage"),
        }
    }
}

async fn pass(app: &App) -> Result<usize, ApiError> {
    let mut deleted = 0;
    loop {
        let garbage = app.store.garbage(AT_ONCE, app.now()).await?;
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for key in &garbage {
            match delete(app, key).await? {
                true => gone.push(key.clone()),
                false => left.push(key.clone()),
            }
        }
        app.store.settle_garbage(&gone, LINKS, app.now()).await?;
        app.store.defer_garbage(&left, app.now() + PATIENCE).await?;
        deleted += gone.len();
        if garbage.len() < AT_ONCE as usize {
            return Ok(deleted);
        }
    }
}

/// Whether an object is gone. One that can't be deleted does not keep the others.
async fn delete(app: &App, key: &ObjectKey) -> Result<bool, ApiError> {
    // Nobody stores it meanwhile, and whoever has announced it since then is seen.
    let Some(_place) = app.uploads.enter(key) else { return Ok(false) };
    if app.store.upload_target(key).await?.is_some() {
        return Ok(true);
    }
    match app.objects.delete(key).await {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::warn!(%key, %error, "an object could not be deleted, and is tried again later");
            Ok(false)
        }
    }
}
