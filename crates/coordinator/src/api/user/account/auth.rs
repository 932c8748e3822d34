//! `GET /auth`: whose token this is.

use crate::auth::caller::Caller;

/// The bare name, without quotes or a newline; clients compare it with their credential file.
pub(super) async fn auth(Caller(user): Caller) -> String {
    user.name
}
