//! The interface between operations and a database.
//!
//! Each store is a [`Backend`]. [`shared`](crate::shared) implements the traits of [`ops`](crate::ops) once for
//! every backend, as functions of a [`Db`]. A function is passed together with its arguments, since SQLite runs
//! it on another thread, and PostgreSQL repeats it after a deadlock or a serialization failure.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::StoreError;
use crate::db::Db;
use crate::fairness::SharedFairShare;

/// The future of a running operation.
pub(crate) type OperationFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A function of a database and the arguments `A`. It must not commit, ask for the time, or keep state between
/// calls.
pub(crate) trait Operation<A, T>:
    for<'a> Fn(Db<'a>, &'a A) -> OperationFuture<'a, T> + Send + Sync + 'static
{
}

impl<A, T, F> Operation<A, T> for F where
    F: for<'a> Fn(Db<'a>, &'a A) -> OperationFuture<'a, T> + Send + Sync + 'static
{
}

/// A database that operations run on. Each method runs an operation and returns its result.
pub(crate) trait Backend: Sync {
    /// The shares of the groups.
    fn fair_share(&self) -> Arc<SharedFairShare>;

    /// Runs an operation in a transaction, which is durable when this returns.
    fn write<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs an operation with one writing statement, which is a transaction of its own. It is not repeated
    /// after a deadlock or a serialization failure.
    fn write_statement<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::write`], ahead of all waiting operations that are not urgent.
    fn write_urgent<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs a read-only operation. On PostgreSQL, each statement has its own snapshot.
    fn read<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs a read-only operation that locks what it reads, on a database with other writers.
    fn read_locked<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs a read-only operation on behalf of a user. The service's own reads don't wait for it, and it is
    /// cancelled when the caller drops the future.
    fn read_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::read_for_user`], with one snapshot for all statements.
    fn read_snapshot_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::read_for_user`]; a statement that still runs after `limit` fails with an error that
    /// [`is_timeout`] recognizes.
    fn read_for_user_within<A: Arguments, T: Send + 'static>(
        &self,
        limit: Duration,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// The owned arguments of an operation.
pub(crate) trait Arguments: Send + Sync + 'static {}

impl<A: Send + Sync + 'static> Arguments for A {}

/// Whether a statement was cancelled at its time limit.
pub(crate) fn is_timeout(error: &StoreError) -> bool {
    crate::postgres::is_timeout(error) || crate::sqlite::was_interrupted(error)
}
