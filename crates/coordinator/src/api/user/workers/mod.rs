//! Workers, for users.

mod cancel;
mod edit;
mod get;
mod groups;
mod query;
mod register;
mod shutdown;

pub(in crate::api) use cancel::{Op, stop};

use crate::api::routes::Asks::{Change, Look};
use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/workers", Change, register::register)
        .post("/workers/query", Look, query::query)
        .post("/workers/shutdown", Change, shutdown::by_filter)
        .post("/workers/shutdown/list", Change, shutdown::by_list)
        .get("/workers/{uuid}", Look, get::get)
        .delete("/workers/{uuid}", Change, cancel::cancel)
        .put("/workers/{uuid}/tags", Change, edit::tags)
        .put("/workers/{uuid}/labels", Change, edit::labels)
        .put("/workers/{uuid}/groups", Change, groups::set)
        .delete("/workers/{uuid}/groups", Change, groups::remove_by_query)
        .delete("/workers/{uuid}/groups/remove", Change, groups::remove_by_body)
}
