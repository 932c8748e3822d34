//! `POST /users/{username}/password`: the caller's own password.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{ChangeOwnPasswordRequest, TokenReply};

use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::public::login::too_many;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::{KnownDevice, PasswordCaller};
use crate::auth::passwords::settable;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/users/{username}/password", Asks::Password, password, "Set the own password")
}

/// Ends every earlier token; the reply has the new one. 429 after many wrong ones. 401 when the name is not the caller's, or the
/// old password is wrong; 400 when the new one is empty.
async fn password(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
    device: KnownDevice,
    InPath(username): InPath<String>,
    Body(request): Body<ChangeOwnPasswordRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    let attempt = device.attempt(&user.name, client);
    app.throttle.attempt(&attempt, app.now()).map_err(too_many)?;
    let right = app.proves(&attempt, &request.old_md5_password, Some(&user.password_hash)).await?;
    if !right || username != user.name {
        return Err(not_in_force().into());
    }
    let hash = app.passwords.hash(settable(&request.new_md5_password)?).await?;
    let (session, now) = (app.entropy.number(), app.now());
    if !app.store.set_password(user.id, &user.password_hash, &hash, session, now).await? {
        return Err(not_in_force().into());
    }
    app.record(&user.name, actions::PASSWORD_CHANGED, &user.name, Some(client)).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}

fn not_in_force() -> Refusal {
    Refusal::new(ErrorCode::WrongCredentials, "the old password is not the one in force")
}
