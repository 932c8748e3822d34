//! Routes for site administrators.

mod audit;
mod create_user;
mod doctor;
mod groups;
mod metrics;
mod shutdown;
mod tasks;
mod users;
mod workers;

use mitosis_store::ops::Administered;

use crate::api::routes::Asks::Admin;
use crate::api::routes::Routes;
use crate::auth::caller::not_an_administrator;
use crate::error::{Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/admin/users", Admin, create_user::create_user)
        .delete("/admin/users/{username}", Admin, users::delete)
        .post("/admin/users/{username}/password", Admin, users::password)
        .post("/admin/users/{username}/state", Admin, users::state)
        .post("/admin/users/{username}/group-quota", Admin, users::group_quota)
        .post("/admin/groups/{group}/storage-quota", Admin, groups::storage_quota)
        .delete("/admin/groups/{group}/attachments/{*key}", Admin, groups::delete_attachment)
        .delete("/admin/tasks/{uuid}/artifacts/{content_type}", Admin, tasks::delete_artifact)
        .delete("/admin/workers/{uuid}", Admin, workers::cancel)
        .put("/v1/admin/groups/{group}/users", Admin, groups::restore)
        .get("/v1/admin/audit", Admin, audit::audit)
        .get("/v1/admin/doctor", Admin, doctor::doctor)
        .get("/metrics", Admin, metrics::metrics)
        .post("/admin/shutdown", Admin, shutdown::shutdown)
}

/// What an operation of an administrator answers.
fn done<T>(outcome: Administered<T>, kind: ResourceKind, name: &str) -> Result<T, Refusal> {
    match outcome {
        Administered::Done(answer) => Ok(answer),
        Administered::Unknown => Err(Refusal::no_such(kind, name)),
        Administered::Denied => Err(not_an_administrator()),
    }
}
