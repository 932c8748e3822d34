//! Groups.

mod create;
pub(crate) mod delete;
mod get;
mod remove_users;
pub(in crate::api) mod update_users;

use crate::api::routes::Asks::{Change, Look};
use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/groups", Change, create::create)
        .delete("/v1/groups/{group}", Change, delete::delete)
        .get("/groups/{group}", Look, get::get)
        .put("/groups/{group}/users", Change, update_users::update_users)
        .delete("/groups/{group}/users", Change, remove_users::by_query)
        .post("/groups/{group}/users/remove", Change, remove_users::by_body)
}
