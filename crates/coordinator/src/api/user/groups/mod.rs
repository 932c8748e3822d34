//! Groups.

mod create;
pub(crate) mod delete;
mod get;
mod remove_users;
pub(in crate::api) mod update_users;

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(create::routes())
        .merge(delete::routes())
        .merge(get::routes())
        .merge(update_users::routes())
        .merge(remove_users::routes())
        .tag("groups")
}
