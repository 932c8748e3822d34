//! Deletes objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::{ObjectKey, Shelf};

use crate::app::App;
use crate::error::{ApiError, chain};

/// How often to look.
const PERIOD: Duration = Duration::from_secs(30);
/// Most objects that one pass deletes.
const AT_ONCE: u32 = 100;

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
        let garbage = app.store.garbage(AT_ONCE).await?;
        for object in &garbage {
            let key = ObjectKey::from_stored(Shelf::Artifacts, object.clone());
            app.objects.delete(&key).await?;
        }
        app.store.forget_garbage(&garbage).await?;
        deleted += garbage.len();
        if garbage.len() < AT_ONCE as usize {
            return Ok(deleted);
        }
    }
}
