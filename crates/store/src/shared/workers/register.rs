//! Registration of workers.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::{Machine, WorkerState};

use super::hosts;
use crate::StoreError;
use crate::db::{Db, Json, List, Params, Sql, only, sql, to_json};
use crate::enum_codes::{Code, micros};
use crate::ops::workers::{Credential, NewWorker, Registration};

const INSERT_WORKER: Sql = sql!(
    "
    INSERT INTO worker (uuid, creator_id, tags, labels, state, created_at, updated_at, slots, token_until,
                        personal_token_id, lost_after, machine, boot, offer, ends_at)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    RETURNING id"
);

/// Locks the memberships until the end, so that a concurrent end of a membership also removes the worker from
/// the group.
const LOCK_MEMBERSHIPS: &str = "
    SELECT 1 FROM membership WHERE user_id = $1 AND group_id = ANY($2) ORDER BY group_id FOR SHARE";

const INSERT_GROUP: Sql = sql!(
    "
    INSERT INTO worker_group (worker_id, group_id, role)
    SELECT $1::bigint, group_id, $3::smallint FROM membership
    WHERE user_id = $4 AND group_id = $2 AND role >= $5"
);

/// Locks the session or token until the end, since its end also ends its workers.
const SESSION_IS_IN_FORCE: Sql = sql!("SELECT 1 FROM users WHERE id = $1 AND session = $2 FOR SHARE");
const TOKEN_IS_IN_FORCE: Sql = sql!(
    "
    SELECT 1 FROM personal_token t JOIN users u ON u.id = t.user_id WHERE u.id = $1 AND t.id = $2 FOR SHARE"
);

const INSERT_SESSION: Sql = sql!(
    "
    INSERT INTO worker_session (worker_id, last_heartbeat, lease_until, lease, missed_after)
    VALUES ($1, $2, $5::bigint + $3::bigint, $3, $4)"
);

/// Shortens the leases of the workers that ended with an earlier boot of the machine. If such a worker is
/// alive, on a machine with a copied id, it renews its lease. Locks in the same order as renewals, to prevent
/// deadlocks.
const END_LEASES_OF_EARLIER_BOOTS: Sql = sql!(
    postgres: "
    WITH earlier AS (
        SELECT s.worker_id FROM worker w JOIN worker_session s ON s.worker_id = w.id
        WHERE w.creator_id = $1 AND w.machine = $2 AND w.boot <> $3
        ORDER BY s.worker_id FOR UPDATE OF s)
    UPDATE worker_session s
    SET lease_until = s.lease_until - s.lease + least(s.missed_after, s.lease), lease = least(s.missed_after, s.lease)
    FROM earlier WHERE s.worker_id = earlier.worker_id",
    sqlite: "
    UPDATE worker_session
    SET lease_until = lease_until - lease + min(missed_after, lease), lease = min(missed_after, lease)
    WHERE worker_id IN (SELECT id FROM worker WHERE creator_id = ?1 AND machine = ?2 AND boot <> ?3)",
);

/// Registers a worker with all its groups; its lease starts now.
pub(super) async fn register(
    db: Db<'_>,
    new: &NewWorker,
    terms: LeaseTerms,
    at: Moment,
) -> Result<Registration, StoreError> {
    if !is_in_force(db, new).await? {
        return Ok(Registration::CredentialEnded);
    }
    let state = WorkerState::Normal.code();
    let slots = new.slots.map(|slots| i32::try_from(slots).unwrap_or(i32::MAX));
    let params: Params<'_> = &[
        &new.uuid,
        &new.creator.0,
        &Json(&new.tags),
        &Json(&new.labels),
        &state,
        &at.now.unix_micros(),
        &slots,
        &new.token_until.map(Timestamp::unix_micros),
        &personal_token(new),
        &new.lost_after.map(micros),
        &new.machine.as_ref().map(|machine| &machine.id),
        &new.machine.as_ref().map(|machine| &machine.boot),
        &new.offer.as_ref().map(to_json).transpose()?,
        &new.ends_at.map(Timestamp::unix_micros),
    ];
    let worker: i64 = db.one(INSERT_WORKER, params, only).await?;
    let groups: Vec<i64> = new.groups.keys().map(|group| group.0).collect();
    let least = Action::Serve.least_role().code();
    db.lock(LOCK_MEMBERSHIPS, &[&new.creator.0, &List(&groups)]).await?;
    for (group, role) in &new.groups {
        let params: Params<'_> = &[&worker, &group.0, &role.code(), &new.creator.0, &least];
        db.run(INSERT_GROUP, params).await?;
    }
    let (lease, missed_after) = (micros(terms.lease), micros(terms.missed_after));
    let session: Params<'_> = &[&worker, &at.now.unix_micros(), &lease, &missed_after, &at.lease.micros()];
    db.run_one(INSERT_SESSION, session).await?;
    if let Some(host) = &new.host {
        hosts::note(db, new.uuid, host, new.facts.as_ref()).await?;
    }
    if let Some(Machine { id, boot }) = &new.machine {
        db.run(END_LEASES_OF_EARLIER_BOOTS, &[&new.creator.0, id, boot]).await?;
    }
    Ok(Registration::Registered(WorkerId(worker)))
}

async fn is_in_force(db: Db<'_>, new: &NewWorker) -> Result<bool, StoreError> {
    let (sql, number) = match new.credential {
        Some(Credential::Session(session)) => (SESSION_IS_IN_FORCE, session),
        Some(Credential::PersonalToken(id)) => (TOKEN_IS_IN_FORCE, id),
        None => return Ok(true),
    };
    Ok(db.optional(sql, &[&new.creator.0, &number], |_| Ok(())).await?.is_some())
}

fn personal_token(new: &NewWorker) -> Option<i64> {
    match new.credential {
        Some(Credential::PersonalToken(id)) => Some(id),
        Some(Credential::Session(_)) | None => None,
    }
}
