//! `GET /v1/admin/doctor`: facts for diagnosis by administrators.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::Md5Password;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::doctor::{AdminDoctorReply, SmallArchives, UndeliveredNotifications};
use mitosis_store::ops::packing::SmallArchiveSizes;
use mitosis_store::ops::webhooks::UndeliveredWebhooks;

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;
use crate::settings::DEFAULT_ADMIN;

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/admin/doctor", Access::Admin, doctor, "Get facts for diagnosis by administrators")
}

/// Checks the stored password directly, without a login: nothing is throttled or recorded.
async fn doctor(
    State(app): State<App>,
    AdminCaller(_): AdminCaller,
) -> Result<Json<AdminDoctorReply>, ApiError> {
    let default_password_of =
        if default_password_works(&app).await? { Some(app.first_admin.clone()) } else { None };
    Ok(Json(AdminDoctorReply {
        default_password_of,
        redis: app.announcer.contact(),
        missed_workers: Some(app.cluster_clock.missed()),
        small_archives: Some(small_archives(app.store.small_archive_sizes().await?)),
        notifications: Some(notifications(app.store.undelivered_webhooks().await?)),
        background: app.background_tasks(),
    }))
}

fn small_archives(sizes: SmallArchiveSizes) -> SmallArchives {
    SmallArchives {
        inline: sizes.inline_archives,
        inline_bytes: sizes.inline_bytes,
        packed_objects: sizes.packed_objects,
        packed_bytes: sizes.packed_bytes,
        packed: sizes.packed_archives,
        packed_live_bytes: sizes.packed_live_bytes,
    }
}

fn notifications(undelivered: UndeliveredWebhooks) -> UndeliveredNotifications {
    let UndeliveredWebhooks { waiting, failing, failed, oldest } = undelivered;
    UndeliveredNotifications { waiting, failing, failed, oldest }
}

async fn default_password_works(app: &App) -> Result<bool, ApiError> {
    let Some(admin) = app.store.user(&app.first_admin).await? else { return Ok(false) };
    let default = Md5Password::from_digest(md5::compute(DEFAULT_ADMIN).0);
    Ok(admin.state == AccountState::Active
        && app.passwords.verify(&default, Some(&admin.password_hash)).await?)
}
