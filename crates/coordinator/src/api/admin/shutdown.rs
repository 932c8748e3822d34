//! `POST /admin/shutdown`: stops the coordinator gracefully.

use axum::extract::State;
use mitosis_protocol::admin::ShutdownRequest;
use mitosis_protocol::audit::actions;
use secrecy::ExposeSecret as _;

use crate::api::body::Body;
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/admin/shutdown", Access::Admin, shutdown, "Stop the coordinator")
}

/// Replies 403 for a wrong secret. The coordinator logs the secret at its start.
async fn shutdown(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    Body(request): Body<ShutdownRequest>,
) -> Result<Empty, ApiError> {
    let expected = app.shutdown_secret.expose_secret().as_bytes();
    if aws_lc_rs::constant_time::verify_slices_are_equal(expected, request.secret.as_bytes()).is_err() {
        return Err(Rejection::forbidden("wrong shutdown secret")
            .hint("the coordinator logs a new secret at every start")
            .into());
    }
    app.record(&admin.name, actions::COORDINATOR_STOPPED, "", Some(client)).await?;
    app.stopping.cancel();
    Ok(Empty)
}
