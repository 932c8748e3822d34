//! What SQLite reports, in the store's terms.

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

/// A transaction that served several operations did not become durable; each of them is told.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NotWritten {
    /// It could not begin, or not be committed.
    #[error("the changes could not be written to disk")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// Another operation of the transaction met an error that undid all of it; a full disk, for one.
    #[error("the changes were undone, because another operation at the same time failed")]
    Undone {
        /// It was a full disk.
        full: bool,
    },
}

impl From<NotWritten> for StoreError {
    fn from(lost: NotWritten) -> Self {
        let full = match &lost {
            NotWritten::Commit(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            NotWritten::Undone { full } => *full,
        };
        if full { Self::Full(lost.into()) } else { Self::Unavailable(lost.into()) }
    }
}

/// An operation that panicked. Its changes were undone.
#[derive(Debug, thiserror::Error)]
#[error("an operation panicked: {0}")]
pub(super) struct Panicked(pub(super) String);

impl From<Panicked> for StoreError {
    fn from(panicked: Panicked) -> Self {
        Self::Unexpected(panicked.into())
    }
}

/// An operation that waited for something else than SQLite: a defect.
#[derive(Debug, thiserror::Error)]
#[error("an operation waited on the thread of a connection")]
pub(super) struct Waited;

impl From<Waited> for StoreError {
    fn from(waited: Waited) -> Self {
        Self::Unexpected(waited.into())
    }
}

/// Whether a statement was ended before its time.
pub(crate) fn was_interrupted(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    code == Some(ErrorCode::OperationInterrupted)
}

/// A failing disk and a lack of memory may pass; a failing statement does not.
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
    fn a_full_disk_is_told_from_other_failures_also_to_those_whom_another_operation_undid() {
        let failure = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let full = || failure(rusqlite::ffi::SQLITE_FULL);
        assert!(matches!(StoreError::from(full()), StoreError::Full(_)));
        assert!(matches!(StoreError::from(failure(rusqlite::ffi::SQLITE_IOERR)), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(failure(rusqlite::ffi::SQLITE_MISUSE)), StoreError::Unexpected(_)));
        assert!(matches!(StoreError::from(NotWritten::Commit(Arc::new(full()))), StoreError::Full(_)));
        assert!(matches!(StoreError::from(NotWritten::Undone { full: true }), StoreError::Full(_)));
        assert!(matches!(StoreError::from(NotWritten::Undone { full: false }), StoreError::Unavailable(_)));
    }
}
