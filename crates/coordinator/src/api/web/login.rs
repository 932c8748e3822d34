//! `POST /v1/web/login`: logs in to the web page.
//!
//! The reply has the token in a cookie that scripts can't read, so it is neither in an address nor in a store of the page.

use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::SET_COOKIE;
use mitosis_domain::account::User;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{LoginRequest, WebLoginRequest, WebSession};
use mitosis_protocol::{ErrorCode, Md5Password};

use super::session;
use crate::api::base_url::BaseUrl;
use crate::api::body::Body;
use crate::api::openapi::Op;
use crate::api::openapi::signature::{Reply, Signature};
use crate::api::public::login::{LoginOrigin, log_in};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{invalid_token, user_of_token};
use crate::auth::page_session::{SameOrigin, set_cookie};
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/web/login",
        Access::Public,
        login,
        Op::new("Log in to the web page, with a password, a token or a code").or(401).or(403).or(429),
    )
}

async fn login(
    State(app): State<App>,
    SameOrigin: SameOrigin,
    base: BaseUrl,
    origin: LoginOrigin,
    Body(request): Body<WebLoginRequest>,
) -> Result<LoggedIn, ApiError> {
    let token = match request {
        WebLoginRequest::Password { username, password } => {
            with_password(&app, username, &password, origin).await?
        }
        WebLoginRequest::Token { token } => token.trim().to_owned(),
        WebLoginRequest::Code { code } => with_code(&app, &code, &origin).await?,
    };
    let (user, authentication) = user_of_token(&token, &app).await?;
    let cookie = set_cookie(&app, &base, &token);
    Ok(LoggedIn { session: session::describe(user, authentication.scope()), cookie })
}

/// Other sessions of the user stay.
async fn with_password(
    app: &App,
    username: String,
    password: &str,
    origin: LoginOrigin,
) -> Result<String, ApiError> {
    let md5_password = Md5Password::from_digest(md5::compute(password).0);
    let request = LoginRequest { username, md5_password, retain: true };
    Ok(log_in(app, request, origin).await?.token)
}

async fn with_code(app: &App, code: &str, origin: &LoginOrigin) -> Result<String, ApiError> {
    let owner = app.login_codes.redeem(code, app.now()).ok_or_else(used_code)?;
    let user: User = app.store.user(&owner.username).await?.ok_or_else(invalid_token)?;
    app.record(&user.name, actions::LOGGED_IN, "", Some(origin.client())).await?;
    Ok(app.tokens.for_user(&owner.username, owner.session, app.now()))
}

fn used_code() -> Rejection {
    Rejection::new(ErrorCode::InvalidToken, "the login link was used or has expired")
        .hint("`mito open` prints a new one; or log in with your password")
}

/// A session of the page, and its cookie.
struct LoggedIn {
    session: WebSession,
    cookie: http::HeaderValue,
}

impl IntoResponse for LoggedIn {
    fn into_response(self) -> Response {
        (AppendHeaders([(SET_COOKIE, self.cookie)]), Json(self.session)).into_response()
    }
}

impl Reply for LoggedIn {
    fn describe(signature: &mut Signature) {
        <Json<WebSession> as Reply>::describe(signature);
    }
}
