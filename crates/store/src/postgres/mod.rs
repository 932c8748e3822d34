//! The store on PostgreSQL 15 or later, shared by any number of coordinators.
//!
//! An operation is a function of a transaction, in the file named after it; `write` opens the
//! transaction, commits it, and repeats the operation when it lost a race against another one. Locks are
//! taken in one order everywhere (worker, lease, task, group), so that losing is rare. None of the
//! functions may commit, ask for the time, or keep state between calls.

mod address;
mod connect;
pub(crate) mod dispatch;
mod error;
mod question;
mod reaper;
mod schema;
pub(crate) mod session;
mod setup;
mod signals;
pub(crate) mod tasks;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, Pool, Transaction};
use tokio_postgres::IsolationLevel;

use self::address::Address;
pub(crate) use self::error::took_too_long;
use self::question::Question;
use self::session::Session;
use crate::backend::{Arguments, Backend, Operation};
use crate::ops::SchemaVersion;
use crate::turns::SharedTurns;
use crate::{Store, StoreError};

/// How often an operation that lost a race is tried.
const TRIES: usize = 8;

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    /// For questions of users.
    questions: Pool,
    /// For the connection that listens, and for cancel requests.
    address: Arc<Address>,
    turns: Arc<SharedTurns>,
}

impl PostgresStore {
    /// Connects to the database behind a `postgres://` URL and brings its schema up to date. Several
    /// coordinators may do this at once.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = connect::address(url)?;
        setup::check_that_sessions_last(&address).await?;
        schema::migrate(&address).await?;
        Ok(Self {
            pool: connect::pool(&address, connect::CONNECTIONS)?,
            questions: connect::pool(&address, connect::QUESTIONS)?,
            address: Arc::new(address),
            turns: Arc::default(),
        })
    }

    /// Whether [`Self::open`] would refuse the database because of what is in it; nothing is written.
    pub async fn inspect(url: &str) -> Result<(), StoreError> {
        schema::inspect(&connect::address(url)?).await
    }

    async fn client(&self) -> Result<Client, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// For what a user asks, and what may take long.
    async fn for_question(&self) -> Result<Question, StoreError> {
        Ok(Question::new(self.questions.get().await?, Arc::clone(&self.address)))
    }
}

/// Makes the changes of a transaction durable.
async fn commit(transaction: Transaction<'_>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(error::of_commit)
}

/// Runs `$work` in a transaction `$tx` of a store and answers once it is durable.
///
/// A macro and not a function, because the future of a closure that borrows the transaction can't be
/// said to be `Send`.
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
                    if tries < $crate::postgres::TRIES && $crate::postgres::error::lost_a_race(&error) =>
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

impl Backend for PostgresStore {
    fn turns(&self) -> Arc<SharedTurns> {
        Arc::clone(&self.turns)
    }

    async fn write<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut tries = 1;
        loop {
            match self.attempt(&arguments, &operation).await {
                Err(error) if tries < TRIES && error::lost_a_race(&error) => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn write_statement<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        operation(Session::Client(&self.client().await?).into(), &arguments).await
    }

    /// Every connection is as good as another.
    async fn write_soon<A: Arguments, T: Send + 'static>(
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
        operation(Session::Client(&self.client().await?).into(), &arguments).await
    }

    async fn read_locked<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        self.write(arguments, operation).await
    }

    async fn answer<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut question = self.for_question().await?;
        let outcome = operation(Session::Client(question.client()).into(), &arguments).await;
        question.answered();
        outcome
    }

    async fn answer_at_once<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut question = self.for_question().await?;
        let outcome = at_once(question.client(), &arguments, &operation).await;
        question.answered();
        outcome
    }

    async fn answer_within<A: Arguments, T: Send + 'static>(
        &self,
        limit: Duration,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let mut question = self.for_question().await?;
        let outcome = within(question.client(), limit, &arguments, &operation).await;
        question.answered();
        outcome
    }
}

async fn at_once<A: Arguments, T: Send + 'static>(
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

    async fn close(&self) {
        self.questions.close();
        self.pool.close();
    }
}

/// Comes from a table, not from the parser alone.
const READ_SOMETHING: &str = "SELECT count(*) FROM bootstrap";
