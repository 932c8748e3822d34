//! `/v1/tokens`: the caller's personal tokens.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mitosis_domain::name::Name;
use mitosis_protocol::audit::actions;
use mitosis_protocol::tokens::{CreateTokenReply, CreateTokenRequest, PREFIX, TokenScope, TokensReply};
use mitosis_store::ops::personal_tokens::NewPersonalToken;

use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::{PasswordCaller, invalid_token, personal_token_digest};
use crate::error::{ApiError, Refusal, ResourceKind};

/// Tokens of one user. More are a sign that something makes them and forgets them.
const MOST: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/v1/tokens", Asks::Password, create, "Make a personal token")
        .get("/v1/tokens", Asks::Password, list, "The caller's personal tokens")
        .delete("/v1/tokens/{id}", Asks::Password, revoke, "Revoke a personal token")
}

/// `POST /v1/tokens`. The reply is the only place where the token is ever shown.
async fn create(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
    Body(request): Body<CreateTokenRequest>,
) -> Result<Json<CreateTokenReply>, ApiError> {
    let name = Name::new(request.name).map_err(Refusal::bad_name)?;
    if request.scope == TokenScope::Admin && !user.admin {
        return Err(Refusal::forbidden("only administrators have the scope `admin`").into());
    }
    if app.store.personal_tokens(user.id).await?.len() >= MOST {
        return Err(Refusal::invalid(format!("there are {MOST} tokens already")).hint("revoke some").into());
    }
    let mut drawn = [0; 32];
    app.entropy.fill(&mut drawn);
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(drawn));
    let now = app.now();
    let new = NewPersonalToken {
        owner: user.id,
        name: name.to_string(),
        digest: personal_token_digest(&token),
        scope: request.scope,
        expires_at: request.lifetime.map(|lifetime| now + lifetime),
        session: user.session,
    };
    let Some(id) = app.store.create_personal_token(&new, now).await? else {
        return Err(invalid_token().into());
    };
    app.record(&user.name, actions::TOKEN_CREATED, format!("{id} {}", new.name), Some(client)).await?;
    Ok(Json(CreateTokenReply { id, token }))
}

/// `GET /v1/tokens`
async fn list(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
) -> Result<Json<TokensReply>, ApiError> {
    Ok(Json(TokensReply { tokens: app.store.personal_tokens(user.id).await? }))
}

/// `DELETE /v1/tokens/{id}`. In force at once; workers that were registered with the token end with it.
async fn revoke(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(id): InPath<i64>,
) -> Result<Empty, ApiError> {
    let ended = app.store.revoke_personal_token(user.id, id, app.now()).await?;
    app.wake_agents(&ended.ok_or_else(|| Refusal::no_such(ResourceKind::Token, id))?);
    app.ready.notify();
    app.record(&user.name, actions::TOKEN_REVOKED, id.to_string(), Some(client)).await?;
    Ok(Empty)
}
