//! `/v1/groups/{group}/secrets`: the secrets of a group. No route returns a value.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::secret::{self, SECRET_NAME_RULE};
use mitosis_protocol::ErrorCode;
use mitosis_protocol::audit::actions;
use mitosis_protocol::secret::{MAX_SECRETS, SecretInfo, SecretsReply, SetSecretRequest};
use mitosis_store::ops::secrets::{SecretChange, SecretRemoval, StoredSecret};

use super::update_users::not_admin;
use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/groups/{group}/secrets", Access::Read, list, "List the secrets of a group")
        .put("/v1/groups/{group}/secrets/{secret}", Access::Write, set, "Set a secret of a group")
        .delete("/v1/groups/{group}/secrets/{secret}", Access::Write, remove, "Remove a secret of a group")
}

/// For members: the names, without the values.
async fn list(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
) -> Result<Json<SecretsReply>, ApiError> {
    let id = require(&app, &user, &group, Action::View).await?;
    let shown = |StoredSecret { name, key_id: _, set_by, set_at }| SecretInfo { name, set_by, set_at };
    Ok(Json(SecretsReply { secrets: app.store.secrets(id).await?.into_iter().map(shown).collect() }))
}

/// Needs Admin. Tasks that start from now on get the new value.
async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath((group, name)): InPath<(String, String)>,
    Body(SetSecretRequest { value }): Body<SetSecretRequest>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageSecrets).await?;
    if !secret::is_name(&name) {
        return Err(Rejection::invalid(format!("{name:?} can't name a secret"))
            .hint(SECRET_NAME_RULE)
            .into());
    }
    secret::check_value(&value).map_err(|error| {
        Rejection::invalid(error).hint("upload larger or binary values as attachments of the group")
    })?;
    let sealed = app.secrets.seal((id, &name), &value, &*app.entropy);
    match app.store.set_secret(user.id, id, &name, &sealed, MAX_SECRETS, app.now()).await? {
        SecretChange::Set => {}
        SecretChange::TooMany => return Err(too_many(&group).into()),
        SecretChange::Denied => return Err(not_admin().into()),
    }
    app.record(&user.name, actions::SECRET_SET, format!("{group}: {name}"), Some(client)).await?;
    Ok(Empty)
}

/// Needs Admin. Tasks that use it end when they are assigned.
async fn remove(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath((group, name)): InPath<(String, String)>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageSecrets).await?;
    match app.store.remove_secret(user.id, id, &name).await? {
        SecretRemoval::Removed => {}
        SecretRemoval::Unknown => return Err(Rejection::no_such(ResourceKind::Secret, name).into()),
        SecretRemoval::Denied => return Err(not_admin().into()),
    }
    app.record(&user.name, actions::SECRET_REMOVED, format!("{group}: {name}"), Some(client)).await?;
    Ok(Empty)
}

fn too_many(group: &str) -> Rejection {
    let message = format!("the group `{group}` has {MAX_SECRETS} secrets, which is the limit");
    Rejection::new(ErrorCode::QuotaExceeded, message).hint("remove secrets that are not used any more")
}
