//! Measurements of operations.

use std::any::type_name;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::StoreError;

/// Receives measurements of a store. Its methods run in every operation, so they must be cheap.
pub trait Observer: Debug + Send + Sync {
    /// An operation has ended. `operation` is the name of a method of a trait in [`ops`](crate::ops); `took`
    /// includes waiting for a connection, and repetitions.
    fn operation(&self, operation: &'static str, took: Duration);

    /// An operation has waited for a connection of a pool, successfully or not.
    fn connection_wait(&self, pool: &'static str, waited: Duration);
}

/// The connections of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// The name of the pool.
    pub name: &'static str,
    /// The largest number of connections.
    pub max: usize,
    /// Open connections.
    pub open: usize,
    /// Open connections that no operation uses.
    pub idle: usize,
    /// Operations that wait for a connection.
    pub waiting: usize,
}

/// The observer of a store, if it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed(Option<Arc<dyn Observer>>);

impl Observed {
    pub(crate) fn by(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    /// Runs an operation in a span of its name, and measures it.
    pub(crate) async fn operation<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let outcome = work.instrument(tracing::debug_span!("store", operation = name)).await;
        if let Some(observer) = &self.0 {
            observer.operation(name, started.elapsed());
        }
        outcome
    }

    /// Measures how long it takes to get a connection.
    pub(crate) async fn connection_wait<T>(
        &self,
        pool: &'static str,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let started = Instant::now();
        let outcome = work.await;
        if let Some(observer) = &self.0 {
            observer.connection_wait(pool, started.elapsed());
        }
        outcome
    }
}

/// The name of the method that has made a closure.
///
/// This is the last name in the type of the closure that is no closure itself. Rust doesn't promise the form of these
/// texts. They only label measurements, and a test fails when they change.
pub(crate) fn name_of_maker<F>(_: &F) -> &'static str {
    last_name(type_name::<F>())
}

fn last_name(mut path: &'static str) -> &'static str {
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    let name = path.rsplit("::").next().unwrap_or(path);
    // What follows are lifetimes.
    name.split('<').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    #[async_trait]
    trait Names {
        async fn some_method(&self) -> &'static str;
    }

    #[async_trait]
    impl<T: Sync> Names for T {
        async fn some_method(&self) -> &'static str {
            name_of_maker(&|number: &u32| number + 1)
        }
    }

    #[tokio::test]
    async fn closure_has_the_name_of_its_method() {
        assert_eq!(7.some_method().await, "some_method");
        assert_eq!(vec!["x"].some_method().await, "some_method");
    }
}
