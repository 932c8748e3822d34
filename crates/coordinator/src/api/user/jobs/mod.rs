//! Jobs, for users.
//!
//! A caller who is not a member of the group of a job gets the same reply as for a job that does not exist.

mod attempts;
mod cancel;
mod change;
pub(in crate::api) mod check;
mod events;
mod find;
mod get;
pub(crate) mod query;
mod remove;
mod retry;
mod selection;
mod states;
mod submit;
mod tasks;
mod wait;

use axum::extract::DefaultBodyLimit;
use mitosis_domain::limits;

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(query::routes())
        .merge(wait::routes())
        .merge(get::routes())
        .merge(change::routes())
        .merge(remove::routes())
        .merge(tasks::routes())
        .merge(states::routes())
        .merge(attempts::routes())
        .merge(cancel::routes())
        .merge(retry::routes())
        .merge(events::routes())
        .tag("jobs")
}

pub(super) fn batch_routes() -> Routes {
    Routes::new()
        .merge(submit::routes())
        .tag("jobs")
        .limit(DefaultBodyLimit::max(limits::MAX_BATCH_BODY_BYTES))
}
