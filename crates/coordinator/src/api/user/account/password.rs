//! `POST /users/{username}/password`: changes the password of the caller.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{ChangeOwnPasswordRequest, TokenReply};

use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::public::login::too_many;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{KnownDevice, PasswordCaller};
use crate::auth::passwords::non_empty;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/users/{username}/password",
        Access::Password,
        password,
        "Change the password of the caller",
    )
}

/// Ends all earlier sessions; the reply has a new token. Replies 401 for another user name or a wrong old password, 400 for
/// an empty new one, and 429 after many failures.
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
    let right = app.verify_password(&attempt, &request.old_md5_password, Some(&user.password_hash)).await?;
    if !right || username != user.name {
        return Err(wrong_old_password().into());
    }
    let hash = app.passwords.hash(non_empty(&request.new_md5_password)?).await?;
    let (session, now) = (app.entropy.number(), app.now());
    if !app.store.set_password(user.id, &user.password_hash, &hash, session, now).await? {
        return Err(wrong_old_password().into());
    }
    app.record(&user.name, actions::PASSWORD_CHANGED, &user.name, Some(client)).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}

fn wrong_old_password() -> Rejection {
    Rejection::new(ErrorCode::WrongCredentials, "the old password is wrong")
}
