//! How operations get at a database.
//!
//! Each store is a [`Backend`]. The traits of [`ops`](crate::ops) are implemented once, in
//! [`shared`](crate::shared), for every backend, by functions of a [`Db`]. A function is handed over together
//! with its arguments, since SQLite runs it on another thread, and PostgreSQL runs it again when it lost a race
//! against another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::StoreError;
use crate::db::Db;
use crate::turns::SharedTurns;

/// An operation that has begun.
pub(crate) type Running<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What is done with a database and the arguments `A`. It may not commit, ask for the time, or keep state
/// between calls.
pub(crate) trait Operation<A, T>:
    for<'a> Fn(Db<'a>, &'a A) -> Running<'a, T> + Send + Sync + 'static
{
}

impl<A, T, F> Operation<A, T> for F where
    F: for<'a> Fn(Db<'a>, &'a A) -> Running<'a, T> + Send + Sync + 'static
{
}

/// A database that operations run on. Each way answers what the operation does.
pub(crate) trait Backend: Sync {
    /// Whose turn it is.
    fn turns(&self) -> Arc<SharedTurns>;

    /// In a transaction, which is durable when this returns.
    fn write<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// A change of one statement, which is a transaction of its own. It is not repeated when it lost a race.
    fn write_statement<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::write`], before everything that is not urgent and waits.
    fn write_soon<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// A lookup. PostgreSQL looks at each statement's own moment.
    fn read<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// A lookup that locks what it reads, where there may be other writers.
    fn read_locked<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::read`], for what a user asks: what the service itself reads does not wait for it, and it
    /// ends when the caller leaves.
    fn answer<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::answer`], about one moment.
    fn answer_at_once<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Like [`Self::answer`]; a statement that runs when `limit` has passed fails with an error that
    /// [`took_too_long`] knows.
    fn answer_within<A: Arguments, T: Send + 'static>(
        &self,
        limit: Duration,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// What an operation is given, owned.
pub(crate) trait Arguments: Send + Sync + 'static {}

impl<A: Send + Sync + 'static> Arguments for A {}

/// Whether a statement was ended at the limit of its time.
pub(crate) fn took_too_long(error: &StoreError) -> bool {
    crate::postgres::took_too_long(error) || crate::sqlite::was_interrupted(error)
}
