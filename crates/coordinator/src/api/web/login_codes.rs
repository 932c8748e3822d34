//! `POST /v1/web/login-codes`: a code that logs in to the web page once.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::auth::LoginCodeReply;

use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{PasswordCaller, invalid_token};
use crate::auth::login_codes::{CodeOwner, LIFETIME};
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/web/login-codes",
        Access::Password,
        issue,
        Op::new("Create a code that logs in to the web page once").or(429),
    )
}

/// The code belongs to the session of the caller, and ends with it. Only the coordinator that issued a code accepts it.
async fn issue(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
) -> Result<Json<LoginCodeReply>, ApiError> {
    let session = user.session.ok_or_else(invalid_token)?;
    let owner = CodeOwner { username: user.name, session };
    let code = app.login_codes.issue(owner, app.now(), &*app.entropy).ok_or_else(|| {
        Rejection::new(ErrorCode::TooManyRequests, "too many login codes are unused")
            .hint("try again in a few minutes")
    })?;
    Ok(Json(LoginCodeReply { code, valid_seconds: LIFETIME.as_secs() }))
}
