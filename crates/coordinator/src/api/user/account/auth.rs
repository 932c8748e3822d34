//! `GET /auth`: whose token this is.

use crate::api::routes::{Asks, Routes};
use crate::auth::caller::Caller;

pub(super) fn routes() -> Routes {
    Routes::new().get("/auth", Asks::Look, auth, "The name behind the token")
}

/// The bare name, without quotes or a newline; clients compare it with their credential file.
async fn auth(Caller(user): Caller) -> String {
    user.name
}
