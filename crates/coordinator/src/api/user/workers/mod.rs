//! Workers, for users.

mod cancel;
mod drain;
mod edit;
pub(crate) mod get;
mod groups;
mod query;
mod register;
mod shutdown;

pub(in crate::api) use cancel::{Op, stop};

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(register::routes())
        .merge(query::routes())
        .merge(shutdown::routes())
        .merge(get::routes())
        .merge(cancel::routes())
        .merge(drain::routes())
        .merge(edit::routes())
        .merge(groups::routes())
        .tag("workers")
}
