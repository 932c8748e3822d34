//! Conversion of SQLite errors.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            _ if is_transient(&error) => Self::Unavailable(error.into()),
            _ => Self::Unexpected(error.into()),
        }
    }
}

/// The transaction of several operations did not become durable. Each operation fails with this error.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NotWritten {
    /// The transaction could not begin or be committed.
    #[error("the changes could not be written to disk")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// Another operation of the transaction met an error that rolled back all of it, such as a full disk.
    #[error("the changes were rolled back, because another operation at the same time failed")]
    RolledBack {
        /// Whether the disk was full.
        full: bool,
    },
}

impl From<NotWritten> for StoreError {
    fn from(lost: NotWritten) -> Self {
        let full = match &lost {
            NotWritten::Commit(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            NotWritten::RolledBack { full } => *full,
        };
        if full { Self::Full(lost.into()) } else { Self::Unavailable(lost.into()) }
    }
}

/// An operation panicked. Its changes were rolled back.
#[derive(Debug, thiserror::Error)]
#[error("an operation panicked: {0}")]
pub(super) struct Panicked(pub(super) String);

impl From<Panicked> for StoreError {
    fn from(panicked: Panicked) -> Self {
        Self::Unexpected(panicked.into())
    }
}

/// An operation awaited something else than SQLite: a defect.
#[derive(Debug, thiserror::Error)]
#[error("an operation was suspended on the thread of a connection")]
pub(super) struct Suspended;

impl From<Suspended> for StoreError {
    fn from(suspended: Suspended) -> Self {
        Self::Unexpected(suspended.into())
    }
}

/// Whether a statement was interrupted.
pub(crate) fn was_interrupted(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    code == Some(ErrorCode::OperationInterrupted)
}

/// Whether a retry may help: for a failing disk and a lack of memory, but not for a failing statement.
fn is_transient(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    /// Operations that another one has rolled back also report a full disk as such.
    fn full_disk_is_distinguished_from_other_failures() {
        let failure = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let full = || failure(rusqlite::ffi::SQLITE_FULL);
        assert!(matches!(StoreError::from(full()), StoreError::Full(_)));
        assert!(matches!(StoreError::from(failure(rusqlite::ffi::SQLITE_IOERR)), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(failure(rusqlite::ffi::SQLITE_MISUSE)), StoreError::Unexpected(_)));
        assert!(matches!(StoreError::from(NotWritten::Commit(Arc::new(full()))), StoreError::Full(_)));
        assert!(matches!(StoreError::from(NotWritten::RolledBack { full: true }), StoreError::Full(_)));
        assert!(matches!(
            StoreError::from(NotWritten::RolledBack { full: false }),
            StoreError::Unavailable(_)
        ));
    }
}
