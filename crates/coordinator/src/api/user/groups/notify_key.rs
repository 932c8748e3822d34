//! `/v1/groups/{group}/notify-key`: the key that signs the notifications of a group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::audit::actions;
use mitosis_protocol::notify::NotifyKeyReply;
use mitosis_store::ops::Actor;
use mitosis_store::ops::webhooks::WebhookKey;

use super::update_users::not_admin;
use crate::api::body::InPath;
use crate::api::forwarded::Forwarded;
use crate::api::members::require;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::notify::key::draw;

const PATH: &str = "/v1/groups/{group}/notify-key";

pub(super) fn routes() -> Routes {
    Routes::new().get(PATH, Access::Write, get, "Get the key that signs the notifications of a group").post(
        PATH,
        Access::Write,
        replace,
        "Replace the key that signs the notifications of a group",
    )
}

/// Needs Admin. The key is created when it is first needed. Each reading is recorded.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
) -> Result<Json<NotifyKeyReply>, ApiError> {
    let id = require(&app, &user, &group, Action::ManageKeys).await?;
    let key = app.store.webhook_key(Actor::User(user.id), id, &draw(&*app.entropy), app.now()).await?;
    let key = key.ok_or_else(not_admin)?;
    app.record(&user.name, actions::NOTIFY_KEY_READ, group, Some(client)).await?;
    Ok(reply(key))
}

/// Needs Admin. For a day, requests have the signatures of both keys.
async fn replace(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
) -> Result<Json<NotifyKeyReply>, ApiError> {
    let id = require(&app, &user, &group, Action::ManageKeys).await?;
    let new = draw(&*app.entropy);
    let key = app.store.replace_webhook_key(Actor::User(user.id), id, &new, app.now()).await?;
    let key = key.ok_or_else(not_admin)?;
    app.record(&user.name, actions::NOTIFY_KEY_REPLACED, group, Some(client)).await?;
    Ok(reply(key))
}

fn reply(key: WebhookKey) -> Json<NotifyKeyReply> {
    Json(NotifyKeyReply { key: key.secret, created_at: key.created_at })
}
