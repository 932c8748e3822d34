//! Routes for site administrators.

mod audit;
mod create_user;
mod doctor;
mod groups;
mod metrics;
mod shutdown;
mod site;
mod tasks;
mod users;
mod workers;

use mitosis_store::ops::Administered;

use crate::api::routes::Routes;
use crate::auth::caller::not_an_administrator;
use crate::error::{Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(create_user::routes())
        .merge(users::routes())
        .merge(groups::routes())
        .merge(tasks::routes())
        .merge(workers::routes())
        .merge(site::routes())
        .merge(audit::routes())
        .merge(doctor::routes())
        .merge(metrics::routes())
        .merge(shutdown::routes())
        .tag("administration")
}

/// Converts the outcome of an operation of an administrator.
fn done<T>(outcome: Administered<T>, kind: ResourceKind, name: &str) -> Result<T, Rejection> {
    match outcome {
        Administered::Done(answer) => Ok(answer),
        Administered::Unknown => Err(Rejection::no_such(kind, name)),
        Administered::Denied => Err(not_an_administrator()),
    }
}
