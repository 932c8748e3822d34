//! Development only: private PostgreSQL, Redis and S3 servers, and a stepped clock.

pub mod certificates;
pub mod clock;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod s3;

/// Spawns a task of a test, which joins it, aborts it, or leaves it to the end of its runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "a test owns its runtime, and notices what its tasks did not do"
)]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}
