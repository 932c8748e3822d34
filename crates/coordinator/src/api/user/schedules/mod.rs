//! Schedules, for users.
//!
//! A caller who is not a member of the group of a schedule gets the same reply as for a schedule that does not exist.

mod change;
mod create;
mod find;
mod get;
mod query;
mod remove;
mod run;
mod runs;

use axum::extract::DefaultBodyLimit;
use mitosis_domain::limits;

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(query::routes())
        .merge(get::routes())
        .merge(change::routes())
        .merge(remove::routes())
        .merge(run::routes())
        .merge(runs::routes())
        .tag("schedules")
}

pub(super) fn batch_routes() -> Routes {
    Routes::new()
        .merge(create::routes())
        .tag("schedules")
        .limit(DefaultBodyLimit::max(limits::MAX_BATCH_BODY_BYTES))
}
