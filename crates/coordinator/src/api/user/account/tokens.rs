//! `/v1/tokens`: the personal tokens of the caller.

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
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{PasswordCaller, invalid_token, personal_token_digest};
use crate::error::{ApiError, Rejection, ResourceKind};

/// The largest number of tokens of a user. More suggest that a program creates tokens and does not revoke them.
const MAX_TOKENS: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/v1/tokens", Access::Password, create, "Create a personal token")
        .get("/v1/tokens", Access::Password, list, "List the personal tokens of the caller")
        .delete("/v1/tokens/{id}", Access::Password, revoke, "Revoke a personal token")
}

/// `POST /v1/tokens`: creates a token, which is shown only in this reply.
async fn create(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
    Body(request): Body<CreateTokenRequest>,
) -> Result<Json<CreateTokenReply>, ApiError> {
    let name = Name::new(request.name).map_err(Rejection::bad_name)?;
    if request.scope == TokenScope::Admin && !user.admin {
        return Err(
            Rejection::forbidden("only administrators can create tokens with the scope `admin`").into()
        );
    }
    if app.store.personal_tokens(user.id).await?.len() >= MAX_TOKENS {
        return Err(Rejection::invalid(format!("you already have {MAX_TOKENS} tokens"))
            .hint("revoke a token with `mito client tokens revoke`")
            .into());
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

/// `GET /v1/tokens`: lists the tokens.
async fn list(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
) -> Result<Json<TokensReply>, ApiError> {
    Ok(Json(TokensReply { tokens: app.store.personal_tokens(user.id).await? }))
}

/// `DELETE /v1/tokens/{id}`: revokes a token at once. Workers that were registered with it end, too.
async fn revoke(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(id): InPath<i64>,
) -> Result<Empty, ApiError> {
    let ended = app.store.revoke_personal_token(user.id, id, app.now()).await?;
    app.publish(ended).ok_or_else(|| Rejection::no_such(ResourceKind::Token, id))?;
    app.record(&user.name, actions::TOKEN_REVOKED, id.to_string(), Some(client)).await?;
    Ok(Empty)
}
