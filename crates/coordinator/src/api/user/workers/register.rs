//! `POST /workers`: registers a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::GroupId;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::resources::check_offer;
use mitosis_domain::worker::{self, WorkerKind, host_name};
use mitosis_protocol::worker::{Machine, RegisterWorkerReply, RegisterWorkerRequest};
use mitosis_protocol::{ResourceOffer, Role};
use mitosis_store::ops::workers::{NewWorker, Registration};

use crate::api::body::Body;
use crate::api::leases::{WithLease, terms};
use crate::api::members::permit;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::submission::words;
use crate::app::App;
use crate::auth::caller::invalid_token;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers", Access::Write, register, "Register a worker")
}

/// The personal group of the caller is always Admin on the worker. Other groups require Write; unknown ones are ignored,
/// as the contract requires. The tokens of the worker end with the requested lifetime, and with the personal token that
/// registers it.
async fn register(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    Body(request): Body<RegisterWorkerRequest>,
) -> Result<WithLease<Json<RegisterWorkerReply>>, ApiError> {
    let at = app.moment();
    let now = at.now;
    let granted = request.lifetime.map(|lifetime| now + lifetime);
    let token_until = [granted, authentication.token_expires_at()].into_iter().flatten().min();
    let new = NewWorker {
        uuid: app.entropy.uuid(),
        creator: user.id,
        tags: words(request.tags)?,
        labels: words(request.labels)?,
        groups: groups(&app, &user, &request.groups).await?,
        slots: slots(request.slots)?,
        credential: Some(authentication.credential()),
        token_until,
        lost_after: lost_after(request.lost_after)?,
        host: request.host.as_deref().and_then(host_name),
        facts: request.facts.as_ref().map(worker::facts),
        machine: request.machine.map(machine).transpose()?,
        offer: request.offer.map(offer).transpose()?,
        ends_at: request.ends_in.map(|time| now + time),
    };
    let terms = terms(&app, WorkerKind::of_slots(new.slots), new.lost_after);
    match app.store.register_worker(&new, terms, at).await? {
        Registration::Registered(_) => {}
        Registration::CredentialEnded => return Err(invalid_token().into()),
    }
    let token = app.tokens.for_worker(new.uuid, request.lifetime, token_until, now);
    let redis_url = app.announcer.worker_url().map(str::to_owned);
    let reply = RegisterWorkerReply { worker_id: new.uuid, token, redis_url };
    Ok(WithLease(Some(terms), Json(reply)))
}

fn slots(slots: Option<u32>) -> Result<Option<u32>, Rejection> {
    match slots {
        Some(slots) if !(1..=limits::MAX_SLOTS).contains(&slots) => {
            let text = format!("a worker must have 1 to {} slots", limits::MAX_SLOTS);
            Err(Rejection::invalid(text).hint("start several workers to get more slots"))
        }
        slots => Ok(slots),
    }
}

fn offer(offer: ResourceOffer) -> Result<ResourceOffer, Rejection> {
    check_offer(&offer).map_err(|error| Rejection::invalid(error.to_string()))?;
    Ok(offer)
}

fn lost_after(limit: Option<Duration>) -> Result<Option<Duration>, Rejection> {
    match limit {
        Some(Duration::ZERO) => Err(Rejection::invalid("`lost_after` must not be zero")
            .hint("omit it to use the limit of the coordinator, or use a duration such as `2min`")),
        limit => Ok(limit),
    }
}

fn machine(machine: Machine) -> Result<Machine, Rejection> {
    let fits = |name: &str| {
        (1..=limits::MAX_MACHINE_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match fits(&machine.id) && fits(&machine.boot) {
        true => Ok(machine),
        false => {
            let text = format!(
                "`machine.id` and `machine.boot` must have 1 to {} printable ASCII characters",
                limits::MAX_MACHINE_BYTES
            );
            Err(Rejection::invalid(text).hint("omit `machine` if they are unknown"))
        }
    }
}

async fn groups(app: &App, user: &User, entries: &[String]) -> Result<BTreeMap<GroupId, Role>, ApiError> {
    let mut groups = BTreeMap::new();
    for (name, role) in entries.iter().filter_map(|entry| parse(entry)) {
        let membership = app.store.membership(user.id, name).await?;
        if membership != Membership::NoSuchGroup {
            groups.insert(permit(membership, name, Action::Serve)?, role);
        }
    }
    if let Membership::Member(own, _) = app.store.membership(user.id, &user.name).await? {
        groups.insert(own, Role::Admin);
    }
    Ok(groups)
}

/// Parses `name` or `name:role`. An unknown role is Write; an entry with more colons is ignored.
fn parse(entry: &str) -> Option<(&str, Role)> {
    match entry.split(':').collect::<Vec<_>>()[..] {
        [name] => Some((name, Role::Write)),
        [name, role] => Some((
            name,
            match role {
                "read" | "Read" | "READ" => Role::Read,
                "admin" | "Admin" | "ADMIN" => Role::Admin,
                _ => Role::Write,
            },
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_as_in_the_contract() {
        assert_eq!(parse("lab"), Some(("lab", Role::Write)));
        assert_eq!(parse("lab:READ"), Some(("lab", Role::Read)));
        assert_eq!(parse("lab:boss"), Some(("lab", Role::Write)));
        assert_eq!(parse("lab:read:x"), None);
    }
}
