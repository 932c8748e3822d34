//! The store on PostgreSQL 15 or later, shared by any number of coordinators.
//!
//! An operation is a function of a transaction, in the file named after it; `write` opens the
//! transaction, commits it, and repeats the operation when it lost a race against another one. Locks are
//! taken in one order everywhere (worker, lease, task, group), so that losing is rare. None of the
//! functions may commit, ask for the time, or keep state between calls.

mod accounts;
mod address;
mod artifacts;
mod attachments;
mod audit;
mod connect;
mod dispatch;
mod error;
mod events;
mod expected;
mod explain;
mod groups;
mod personal_tokens;
mod question;
mod reaper;
mod retention;
mod rights;
mod row;
mod schema;
mod setup;
mod signals;
mod tasks;
mod tls;
mod uploads;
mod workers;

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Client, Pool, Transaction};

use self::address::Address;
use self::question::{Question, ask};
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
    turns: SharedTurns,
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
            turns: SharedTurns::default(),
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
                let $tx = &transaction;
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

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        row::one(&self.client().await?, READ_SOMETHING, &[], |_| Ok(())).await
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
