//! Groups.

mod create;
pub(crate) mod delete;
mod get;
mod limits;
mod notify_key;
mod remove_users;
mod secrets;
pub(in crate::api) mod update_users;
mod write_priority;

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(create::routes())
        .merge(delete::routes())
        .merge(get::routes())
        .merge(notify_key::routes())
        .merge(update_users::routes())
        .merge(remove_users::routes())
        .merge(limits::routes())
        .merge(secrets::routes())
        .merge(write_priority::routes())
        .tag("groups")
}
