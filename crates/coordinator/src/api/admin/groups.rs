//! `/admin/groups/{group}`: the quota and the attachments of any group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::{MAX_WEIGHT, StorageQuotaReply, StorageQuotaRequest, WeightRequest};
use mitosis_protocol::audit::actions;
use mitosis_protocol::group::RelationsRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::groups::MembersChange;

use super::done;
use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::attachments::removal;
use crate::api::user::groups::update_users::answer;
use crate::app::App;
use crate::auth::caller::{AdminCaller, not_an_administrator};
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/admin/groups/{group}/storage-quota",
            Access::Admin,
            storage_quota,
            "Set the storage quota of a group",
        )
        .delete(
            "/admin/groups/{group}/attachments/{*key}",
            Access::Admin,
            delete_attachment,
            "Delete any attachment",
        )
        .put("/v1/admin/groups/{group}/weight", Access::Admin, weight, "Set the weight of a group")
        .put(
            "/v1/admin/groups/{group}/users",
            Access::Admin,
            restore,
            "Set roles in any group and restore it",
        )
}

/// `POST /admin/groups/{group}/storage-quota`: sets the number of bytes that the group may store.
async fn storage_quota(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
    Body(request): Body<StorageQuotaRequest>,
) -> Result<Json<StorageQuotaReply>, ApiError> {
    let change = QuotaChange::parse_size(&request.storage_quota).map_err(|error| {
        Rejection::invalid(error).hint("use `10GB` to set the quota, `+10GB` or `-10GB` to change it")
    })?;
    let actor = Actor::Administrator(admin.id);
    let changed = app.store.change_storage_quota(actor, &group, change, app.now()).await?;
    let storage_quota = done(changed, ResourceKind::Group, &group)?;
    let target = format!("{group}: {storage_quota}");
    app.record(&admin.name, actions::STORAGE_QUOTA_SET, target, Some(client)).await?;
    Ok(Json(StorageQuotaReply { storage_quota }))
}

/// `PUT /v1/admin/groups/{group}/weight`: sets the share of slot time of a group, in relation to others.
async fn weight(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
    Body(WeightRequest { weight }): Body<WeightRequest>,
) -> Result<Empty, ApiError> {
    if weight == 0 || weight > MAX_WEIGHT {
        return Err(Rejection::invalid(format!("weight is {weight}; expected 1 to {MAX_WEIGHT}"))
            .hint("groups have the weight 1 unless it was changed")
            .into());
    }
    let changed = app.store.set_weight(Actor::Administrator(admin.id), &group, weight, app.now()).await?;
    done(changed, ResourceKind::Group, &group)?;
    app.record(&admin.name, actions::WEIGHT_SET, format!("{group}: {weight}"), Some(client)).await?;
    Ok(Empty)
}

/// `PUT /v1/admin/groups/{group}/users`: sets roles of users in any group, and restores it.
async fn restore(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(name): InPath<String>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    let group =
        app.store.group(&name).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Group, &name))?;
    let actor = Actor::Administrator(admin.id);
    let restored = app.store.restore_group(actor, group.id, &request.relations, app.now()).await?;
    let done = match app.publish(restored) {
        MembersChange::Denied => return Err(not_an_administrator().into()),
        restored => answer(restored)?,
    };
    let target = format!("{name}: {:?}", request.relations);
    app.record(&admin.name, actions::GROUP_RESTORED, target, Some(client)).await?;
    Ok(done)
}

/// `DELETE /admin/groups/{group}/attachments/{*key}`: deletes an attachment, even if it was uploaded recently.
async fn delete_attachment(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath((name, key)): InPath<(String, String)>,
) -> Result<Empty, ApiError> {
    let group =
        app.store.group(&name).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Group, &name))?;
    removal::remove(&app, Actor::Administrator(admin.id), group.id, &key, app.now()).await?;
    let target = format!("{name}/{key}");
    app.record(&admin.name, actions::ATTACHMENT_REMOVED, target, Some(client)).await?;
    Ok(Empty)
}
