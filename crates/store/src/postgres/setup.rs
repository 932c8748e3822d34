//! Whether a database that answers is one that can be worked with.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::address::Address;
use super::connect;
use crate::{SetupError, StoreError};

/// The process of the server that serves a connection.
const SERVED_BY: &str = "SELECT pg_backend_pid()";
const ENCODING: &str = "SHOW server_encoding";

/// Two connections at once have two processes of the server, and each keeps its own. Behind a pooler that
/// deals out processes by transaction or by statement, prepared statements, locks of a session and `LISTEN`
/// end up with somebody else.
///
/// Simple queries only: prepared ones are what fails there, in many ways.
pub(super) async fn check_that_sessions_last(address: &Address) -> Result<(), StoreError> {
    let (first, second) = (connect::client(address).await?, connect::client(address).await?);
    let before = first_value(&first, SERVED_BY).await?;
    // From here on, the process that serves the second one is not free for the first.
    let holds = second.batch_execute("BEGIN").await.is_ok();
    let of_second = if holds { first_value(&second, SERVED_BY).await? } else { None };
    let after = first_value(&first, SERVED_BY).await?;
    // A transaction that can't be opened beside a connection that answers is one that a pooler forbids.
    match holds && before != of_second && before == after {
        true => Ok(()),
        false => Err(StoreError::Setup(SetupError::SharedSessions)),
    }
}

/// Anything but UTF-8 can't keep every text. A database that is in use already goes on: most texts fit.
pub(super) async fn check_encoding(client: &Client, is_new: bool) -> Result<(), StoreError> {
    let found = first_value(client, ENCODING).await?.unwrap_or_default();
    // The second one takes bytes as they are.
    if found == "UTF8" || found == "SQL_ASCII" {
        return Ok(());
    }
    if is_new {
        return Err(StoreError::Setup(SetupError::Encoding { found }));
    }
    tracing::warn!(encoding = found, "the database can't keep every text; one with the encoding UTF8 could");
    Ok(())
}

async fn first_value(client: &Client, sql: &str) -> Result<Option<String>, StoreError> {
    let answer = client.simple_query(sql).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
