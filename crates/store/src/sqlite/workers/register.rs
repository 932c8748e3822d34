//! A worker comes.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::{Machine, WorkerState};
use rusqlite::{Connection, params};

use super::super::rights;
use super::super::row::{Run, to_json};
use crate::StoreError;
use crate::code::{Code, micros};
use crate::ops::By;
use crate::ops::workers::{Credential, NewWorker, Registration};

const INSERT_WORKER: &str = "
    INSERT INTO worker (uuid, creator_id, tags, labels, state, created_at, updated_at, slots, token_until,
                        personal_token_id, lost_after, machine, boot)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const INSERT_GROUP: &str = "INSERT INTO worker_group (worker_id, group_id, role) VALUES (?1, ?2, ?3)";

const INSERT_SESSION: &str = "
    INSERT INTO worker_session (worker_id, last_heartbeat, lease_until, lease, missed_after)
    VALUES (?1, ?2, ?5 + ?3, ?3, ?4)";

/// Shortens the leases of workers that ended with the machine. One that lives all the same, on a machine with a copied
/// id, renews its lease.
const END_LEASES_OF_EARLIER_BOOTS: &str = "
    UPDATE worker_session
    SET lease_until = lease_until - lease + min(missed_after, lease), lease = min(missed_after, lease)
    WHERE worker_id IN (SELECT id FROM worker WHERE creator_id = ?1 AND machine = ?2 AND boot <> ?3)";

const SESSION_IS_IN_FORCE: &str = "SELECT 1 FROM users WHERE id = ?1 AND session = ?2";
const TOKEN_IS_IN_FORCE: &str = "SELECT 1 FROM personal_token WHERE user_id = ?1 AND id = ?2";

/// Registers it for all its groups, alive from now.
pub(super) fn register(
    db: &Connection,
    new: &NewWorker,
    terms: LeaseTerms,
    at: Moment,
) -> Result<Registration, StoreError> {
    if !is_in_force(db, new)? {
        return Ok(Registration::CredentialEnded);
    }
    let (tags, labels) = (to_json(&new.tags)?, to_json(&new.labels)?);
    let state = WorkerState::Normal.code();
    let worker = db.insert(
        INSERT_WORKER,
        params![
            new.uuid.as_bytes(),
            new.creator.0,
            tags,
            labels,
            state,
            at.now.unix_micros(),
            new.slots,
            new.token_until.map(Timestamp::unix_micros),
            personal_token(new),
            new.lost_after.map(micros),
            new.machine.as_ref().map(|machine| &machine.id),
            new.machine.as_ref().map(|machine| &machine.boot),
        ],
    )?;
    for (group, role) in &new.groups {
        if rights::may(db, By::User(new.creator), *group, Action::Serve)? {
            db.run_one(INSERT_GROUP, params![worker, group.0, role.code()])?;
        }
    }
    let (lease, missed_after) = (micros(terms.lease), micros(terms.missed_after));
    let session = [worker, at.now.unix_micros(), lease, missed_after, at.lease.micros()];
    db.run_one(INSERT_SESSION, session)?;
    if let Some(Machine { id, boot }) = &new.machine {
        db.run(END_LEASES_OF_EARLIER_BOOTS, params![new.creator.0, id, boot])?;
    }
    Ok(Registration::Registered(WorkerId(worker)))
}

fn is_in_force(db: &Connection, new: &NewWorker) -> Result<bool, StoreError> {
    let (sql, number) = match new.credential {
        Some(Credential::Session(session)) => (SESSION_IS_IN_FORCE, session),
        Some(Credential::PersonalToken(id)) => (TOKEN_IS_IN_FORCE, id),
        None => return Ok(true),
    };
    Ok(db.optional(sql, [new.creator.0, number], |_| Ok(()))?.is_some())
}

fn personal_token(new: &NewWorker) -> Option<i64> {
    match new.credential {
        Some(Credential::PersonalToken(id)) => Some(id),
        Some(Credential::Session(_)) | None => None,
    }
}
