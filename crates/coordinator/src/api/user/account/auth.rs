//! `GET /auth`: the user of a token.

use crate::api::routes::{Access, Routes};
use crate::auth::caller::Caller;

pub(super) fn routes() -> Routes {
    Routes::new().get("/auth", Access::Read, auth, "Get the user name of the token")
}

/// Returns the bare name, without quotes or a newline. Clients compare it with their credential file.
async fn auth(Caller(user): Caller) -> String {
    user.name
}
