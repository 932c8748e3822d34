//! Checks whether a database server is suitable.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::address::Address;
use super::connect;
use crate::{SetupError, StoreError};

/// The server process that serves a connection.
const BACKEND_PID: &str = "SELECT pg_backend_pid()";
const ENCODING: &str = "SHOW server_encoding";

/// Checks that two open connections have two server processes, and that each keeps its own. Behind a pooler
/// that assigns processes per transaction or statement, prepared statements, session locks and `LISTEN` would
/// end up in the wrong session.
///
/// It uses simple queries only, because prepared statements fail in many ways behind such a pooler.
pub(super) async fn check_session_pooling(address: &Address) -> Result<(), StoreError> {
    let (first, second) = (connect::client(address).await?, connect::client(address).await?);
    let before = first_value(&first, BACKEND_PID).await?;
    // From here on, the process of the second connection is not free for the first.
    let holds = second.batch_execute("BEGIN").await.is_ok();
    let of_second = if holds { first_value(&second, BACKEND_PID).await? } else { None };
    let after = first_value(&first, BACKEND_PID).await?;
    // Only a pooler refuses a transaction on a second connection while the first one still gets replies.
    match holds && before != of_second && before == after {
        true => Ok(()),
        false => Err(StoreError::Setup(SetupError::SharedSessions)),
    }
}

/// Checks that the encoding is UTF-8, the only one that can store every text. A database in use is accepted,
/// since it can store most texts.
pub(super) async fn check_encoding(client: &Client, is_new: bool) -> Result<(), StoreError> {
    let found = first_value(client, ENCODING).await?.unwrap_or_default();
    // `SQL_ASCII` stores bytes unchanged.
    if found == "UTF8" || found == "SQL_ASCII" {
        return Ok(());
    }
    if is_new {
        return Err(StoreError::Setup(SetupError::Encoding { found }));
    }
    tracing::warn!(encoding = found, "the database can't store every text; use one with the encoding UTF8");
    Ok(())
}

async fn first_value(client: &Client, sql: &str) -> Result<Option<String>, StoreError> {
    let answer = client.simple_query(sql).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
