//! `POST /users/{username}/password`: the caller's own password.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{ChangeOwnPasswordRequest, TokenReply};

use crate::api::body::{Body, InPath};
use crate::app::App;
use crate::auth::caller::PasswordCaller;
use crate::error::{ApiError, Refusal};

/// Ends every earlier token; the reply has the new one. 401 when the name is not the caller's, or the
/// old password is wrong.
pub(super) async fn password(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    InPath(username): InPath<String>,
    Body(request): Body<ChangeOwnPasswordRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    let right = app.passwords.verify(&request.old_md5_password, Some(&user.password_hash)).await;
    if !right || username != user.name {
        return Err(
            Refusal::new(ErrorCode::WrongCredentials, "the old password is not the one in force").into()
        );
    }
    let hash = app.passwords.hash(&request.new_md5_password).await;
    let (session, now) = (app.entropy.number(), app.now());
    app.store.set_password(user.id, &hash, session, now).await?;
    app.record(&user.name, actions::PASSWORD_CHANGED, &user.name, None).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}
