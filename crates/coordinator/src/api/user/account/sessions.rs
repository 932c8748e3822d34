//! `DELETE /v1/sessions`: ends all sessions of the caller.

use axum::extract::State;
use mitosis_protocol::audit::actions;

use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::PasswordCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete("/v1/sessions", Access::Password, end, "End all sessions of the caller")
}

/// Ends the session of this request, too. Personal tokens and workers stay.
async fn end(
    State(app): State<App>,
    PasswordCaller(user): PasswordCaller,
    Forwarded { client, .. }: Forwarded,
) -> Result<Empty, ApiError> {
    // Another request may have ended them since the caller was identified.
    if let Some(session) = user.session
        && app.store.end_sessions(user.id, session, app.now()).await?
    {
        app.record(&user.name, actions::LOGGED_OUT, &user.name, Some(client)).await?;
    }
    Ok(Empty)
}
