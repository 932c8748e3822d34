//! The store on PostgreSQL 15 or later, shared by any number of coordinators.
//!
//! An operation is a function of a transaction, in the file named after it; `write` opens the transaction,
//! commits it, and repeats the operation after a conflict with a concurrent one. Locks are taken in one order
//! everywhere (worker, lease, task, group), so conflicts are rare. None of the functions may commit, ask for
//! the time, or keep state between calls.

mod address;
mod cancel_on_drop;
mod connect;
pub(crate) mod dispatch;
mod error;
mod notifications;
mod reaper;
mod schema;
mod server_checks;
pub(crate) mod session;
pub(crate) mod tasks;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, Pool, Transaction};
use tokio_postgres::IsolationLevel;

use self::address::Address;
use self::cancel_on_drop::CancelOnDrop;
pub(crate) use self::error::{is_timeout, newly_needed};
use self::session::Session;
use crate::backend::{Arguments, Backend, Operation};
use crate::fairness::SharedFairShare;
use crate::observer::{Observed, name_of_maker};
use crate::ops::SchemaVersion;
use crate::{Observer, PoolStatus, Store, StoreError};

/// The names of the pools in measurements.
const POOL: &str = "operations";
const USER_POOL: &str = "users";
/// How often an operation is tried in case of conflicts.
const MAX_TRIES: usize = 8;

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    /// Connections for the queries of users.
    user_pool: Pool,
    /// The address for the listening connection and for cancel requests.
    address: Arc<Address>,
    fair_share: Arc<SharedFairShare>,
    observed: Observed,
}

impl PostgresStore {
    /// Connects to the database at a `postgres://` URL and upgrades its schema. Several coordinators may do
    /// this at the same time.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = connect::address(url)?;
        server_checks::check_session_pooling(&address).await?;
        schema::migrate(&address).await?;
        Ok(Self {
            pool: connect::pool(&address, connect::CONNECTIONS)?,
            user_pool: connect::pool(&address, connect::USER_CONNECTIONS)?,
            address: Arc::new(address),
            fair_share: Arc::default(),
            observed: Observed::default(),
        })
    }

    /// Checks, without writing, whether [`Self::open`] would refuse the database because of its contents.
    pub async fn inspect(url: &str) -> Result<(), StoreError> {
        schema::inspect(&connect::address(url)?).await
    }

    /// Reports measurements of the operations to an observer.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observed: Observed::by(observer), ..self }
    }

    async fn client(&self) -> Result<Client, StoreError> {
        Ok(self.observed.connection_wait(POOL, self.pool.get()).await?)
    }

    /// A connection for the query of a user, which may take long.
    async fn user_connection(&self) -> Result<CancelOnDrop, StoreError> {
        let client = self.observed.connection_wait(USER_POOL, self.user_pool.get()).await?;
        Ok(CancelOnDrop::new(client, Arc::clone(&self.address)))
    }
}

/// Commits a transaction.
async fn commit(transaction: Transaction<'_>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(error::of_commit)
}

/// Runs `$work` in a transaction `$tx` of a store, and returns its result once it is durable.
///
/// It is a macro, because the compiler can't prove that the future of a closure which borrows the transaction
/// is `Send`.
macro_rules! write {
    ($store:expr, $tx:ident => $work:expr) => {{
        let mut tries = 1;
        loop {
            let outcome = async {
                let mut client = $store.client().await?;
                let transaction = client.transaction().await?;
                let $tx = $crate::postgres::session::Session::Transaction(&transaction);
                let outcome = $work.await?;
                $crate::postgres::commit(transaction).await?;
                Ok::<_, $crate::StoreError>(outcome)
            };
            match outcome.await {
                Err(error)
                    if tries < $crate::postgres::MAX_TRIES
                        && $crate::postgres::error::is_conflict(&error) =>
                {
                    tries += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}
use write;

impl PostgresStore {
    async fn attempt<A: Arguments, T: Send + 'static>(
        &self,
        arguments: &A,
        operation: &impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let outcome = operation(Session::Transaction(&transaction).into(), arguments).await?;
        commit(transaction).await?;
        Ok(outcome)
    }
}

impl PostgresStore {
    async fn write_unobserved<A: Arguments, T: Send + 'static>(
        &self,
        arguments: &A,
        operation: &impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut tries = 1;
        loop {
            match self.attempt(arguments, operation).await {
                Err(error) if tries < MAX_TRIES && error::is_conflict(&error) => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn without_transaction<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let work = async {
            let client = self.client().await?;
            operation(Session::Client(&client).into(), &arguments).await
        };
        self.observed.operation(name_of_maker(&operation), work).await
    }
}

impl Backend for PostgresStore {
    fn fair_share(&self) -> Arc<SharedFairShare> {
        Arc::clone(&self.fair_share)
    }

    async fn write<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        self.observed.operation(name, self.write_unobserved(&arguments, &operation)).await
    }

    async fn write_statement<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        self.without_transaction(arguments, operation).await
    }

    /// All connections are equal, so there is no queue to jump.
    async fn write_urgent<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        self.write(arguments, operation).await
    }

    async fn read<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        self.without_transaction(arguments, operation).await
    }

    async fn read_locked<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        self.write(arguments, operation).await
    }

    async fn read_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let work = async {
            let mut connection = self.user_connection().await?;
            let outcome = operation(Session::Client(connection.client()).into(), &arguments).await;
            connection.finished();
            outcome
        };
        self.observed.operation(name_of_maker(&operation), work).await
    }

    async fn read_snapshot_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let work = async {
            let mut connection = self.user_connection().await?;
            let outcome = in_snapshot(connection.client(), &arguments, &operation).await;
            connection.finished();
            outcome
        };
        self.observed.operation(name_of_maker(&operation), work).await
    }

    async fn read_for_user_within<A: Arguments, T: Send + 'static>(
        &self,
        limit: Duration,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let work = async {
            let mut connection = self.user_connection().await?;
            let outcome = within(connection.client(), limit, &arguments, &operation).await;
            connection.finished();
            outcome
        };
        self.observed.operation(name_of_maker(&operation), work).await
    }
}

async fn in_snapshot<A: Arguments, T: Send + 'static>(
    client: &mut Client,
    arguments: &A,
    operation: &impl Operation<A, T>,
) -> Result<T, StoreError> {
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let snapshot = transaction.read_only(true).start().await?;
    let outcome = operation(Session::Transaction(&snapshot).into(), arguments).await?;
    snapshot.commit().await?;
    Ok(outcome)
}

/// The time limit ends with the transaction.
async fn within<A: Arguments, T: Send + 'static>(
    client: &mut Client,
    limit: Duration,
    arguments: &A,
    operation: &impl Operation<A, T>,
) -> Result<T, StoreError> {
    let transaction = client.transaction().await?;
    let milliseconds = limit.as_millis().max(1);
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {milliseconds}")).await?;
    operation(Session::Transaction(&transaction).into(), arguments).await
}

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Session::Client(&self.client().await?).one(READ_SOMETHING, &[], |_| Ok(())).await
    }

    async fn schema(&self) -> Result<SchemaVersion, StoreError> {
        let client = self.client().await?;
        schema::version(&client).await
    }

    fn pools(&self) -> Vec<PoolStatus> {
        [(POOL, &self.pool), (USER_POOL, &self.user_pool)]
            .map(|(name, pool)| pool_status(name, pool))
            .to_vec()
    }

    async fn close(&self) {
        self.user_pool.close();
        self.pool.close();
    }
}

/// Reads from a table, so that more than the parser is tested.
const READ_SOMETHING: &str = "SELECT count(*) FROM bootstrap";

fn pool_status(name: &'static str, pool: &Pool) -> PoolStatus {
    let status = pool.status();
    PoolStatus {
        name,
        max: status.max_size,
        open: status.size,
        idle: status.available,
        waiting: status.waiting,
    }
}
