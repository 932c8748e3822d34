//! Conversion of PostgreSQL errors.

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::{SetupError, StoreError};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.code() {
            Some(&SqlState::DISK_FULL) => Self::Full(error.into()),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Self::Setup(SetupError::MissingPrivilege(error.into()))
            }
            _ if is_transient(&error) => Self::Unavailable(error.into()),
            Some(&(SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER)) => {
                Self::Nul(error.into())
            }
            _ => Self::Unexpected(error.into()),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => Self::Closed,
            other => Self::Unavailable(other.into()),
        }
    }
}

/// Converts the error of a first connection.
pub(super) fn of_connect(error: Error, address: String) -> StoreError {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => error.into(),
        // The server responds, and will refuse again.
        Some(code) if is_refusal(code) => StoreError::Address { address, source: error.into() },
        None if is_of_tls(&error) => StoreError::Setup(SetupError::Tls { address, source: error.into() }),
        _ => StoreError::Unavailable(NoConnection { address, source: error }.into()),
    }
}

/// The driver exposes the kind of the error only in its text.
fn is_of_tls(error: &Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

/// Converts the error of a migration. Often the cause is not the migration itself.
pub(super) fn of_migration(error: refinery::Error) -> StoreError {
    let reported = causes(&error).find_map(|cause| cause.downcast_ref::<Error>());
    match reported.and_then(Error::code) {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            StoreError::Setup(SetupError::MissingPrivilege(error.into()))
        }
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => StoreError::Setup(SetupError::ReadOnly(error.into())),
        Some(&SqlState::DISK_FULL) => StoreError::Full(error.into()),
        _ if reported.is_some_and(is_transient) => StoreError::Unavailable(error.into()),
        _ => StoreError::Schema(error.into()),
    }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

/// No connection to the address could be established.
#[derive(Debug, thiserror::Error)]
#[error("no database server responds at {address}")]
struct NoConnection {
    /// The address without the password.
    address: String,
    source: Error,
}

/// Converts the error of a commit. Without a response from the server, the outcome is unknown.
pub(super) fn of_commit(error: Error) -> StoreError {
    match error.code() {
        Some(_) => error.into(),
        None => StoreError::CommitUnknown(error.into()),
    }
}

/// A job was submitted whose tasks need some that this transaction has ended.
#[derive(Debug, thiserror::Error)]
#[error("a new job needs tasks that ended at the same time")]
struct NewlyNeeded;

/// The error of a transaction that has to be repeated, because a new job needs the tasks that it ended.
pub(crate) fn newly_needed() -> StoreError {
    StoreError::Unavailable(NewlyNeeded.into())
}

/// Whether an operation was rolled back only because of a concurrent one.
pub(super) fn is_conflict(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    if error.is::<NewlyNeeded>() {
        return true;
    }
    let code = error.downcast_ref::<Error>().and_then(Error::code);
    matches!(code, Some(&(SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED)))
}

/// Whether a statement was cancelled at its time limit.
pub(crate) fn is_timeout(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    error.downcast_ref::<Error>().and_then(Error::code) == Some(&SqlState::QUERY_CANCELED)
}

fn is_refusal(code: &SqlState) -> bool {
    [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        // A pooler that rejects a parameter, or does not know the database.
        SqlState::PROTOCOL_VIOLATION,
    ]
    .contains(code)
}

/// Whether a retry may help: for broken connections, a server that starts or stops, and a lack of resources,
/// but not for a failing statement.
fn is_transient(error: &Error) -> bool {
    let Some(code) = error.code() else {
        return error.is_closed()
            || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    };
    may_pass(code)
}

fn may_pass(code: &SqlState) -> bool {
    // Classes: connection, transaction rollback, resources, operator intervention, system.
    let class = &code.code()[..2];
    matches!(class, "08" | "40" | "53" | "57" | "58")
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            // A database that does not accept connections at the moment, or a server in recovery.
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        ]
        .contains(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_transient_and_defects_are_not() {
        for code in ["55000", "53000", "53100", "53200", "53300", "53400", "57P03", "25006", "55P03", "08006"]
        {
            assert!(may_pass(&SqlState::from_code(code)), "{code}");
        }
        for code in ["42601", "23505", "22021", "42P01", "28P01"] {
            assert!(!may_pass(&SqlState::from_code(code)), "{code}");
        }
    }
}
