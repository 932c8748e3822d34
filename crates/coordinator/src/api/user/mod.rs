//! Routes for users.

mod account;
mod activity;
pub(super) mod artifacts;
pub(super) mod attachments;
mod events;
pub(super) mod groups;
pub(super) mod jobs;
mod schedules;
pub(super) mod tasks;
pub(super) mod workers;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(account::routes())
        .merge(activity::routes())
        .merge(groups::routes())
        .merge(tasks::routes())
        .merge(jobs::routes())
        .merge(schedules::routes())
        .merge(artifacts::routes())
        .merge(attachments::routes())
        .merge(workers::routes())
        .merge(events::routes())
}

/// Routes whose bodies may be large.
pub(super) fn batch_routes() -> Routes {
    tasks::batch_routes().merge(jobs::batch_routes()).merge(schedules::batch_routes())
}
