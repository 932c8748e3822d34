//! States on Redis, as published workers announce and read them.

use std::time::Duration;

use mitosis_domain::announcement::{channel, kept_for};
use mitosis_protocol::{ExecState, Uuid};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Announcements that wait while Redis is slow; more are dropped.
const QUEUE: usize = 1_000;
/// How long Redis may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Time between two tries to connect.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The way to Redis.
#[derive(Debug)]
pub(crate) struct Announcer(mpsc::Sender<Ask>);

#[derive(Debug)]
enum Ask {
    Announce(Uuid, ExecState, Option<Duration>),
    Look(Uuid, oneshot::Sender<Option<ExecState>>),
    Flush(oneshot::Sender<()>),
}

impl Announcer {
    /// Starts the task that keeps a connection. It ends with this. An address that makes no sense is as good
    /// as none.
    pub(crate) fn start(url: &SecretString) -> Option<Self> {
        let client = Client::open(url.expose_secret())
            .inspect_err(|_| tracing::warn!("the coordinator's address of Redis can't be used"))
            .ok()?;
        let (sender, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(keep(client, inbox));
        Some(Self(sender))
    }

    /// Announces a state of a task that may run this long.
    pub(crate) fn announce(&self, task: Uuid, state: ExecState, timeout: Duration) {
        // A full queue means that Redis is slow; what is dropped here is stale by then.
        let _ = self.0.try_send(Ask::Announce(task, state, kept_for(state, timeout)));
    }

    /// What was announced last of a task.
    pub(crate) async fn look(&self, task: Uuid) -> Option<ExecState> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Ask::Look(task, reply)).ok()?;
        answer.await.ok()?
    }

    /// Waits a moment until everything is announced.
    pub(crate) async fn flush(&self) {
        let (reply, answer) = oneshot::channel();
        if self.0.try_send(Ask::Flush(reply)).is_ok() {
            // Nothing is lost but an announcement.
            let _ = timeout(ANSWER_LIMIT, answer).await;
        }
    }
}

async fn keep(client: Client, mut inbox: mpsc::Receiver<Ask>) {
    let mut connection = None;
    let mut try_at = Instant::now();
    while let Some(ask) = inbox.recv().await {
        if connection.is_none() && Instant::now() >= try_at {
            match connect(&client).await {
                Ok(fresh) => connection = Some(fresh),
                Err(error) => {
                    // Its text can hold the address.
                    tracing::warn!(kind = ?error.kind(), "Redis can't be reached; states are not announced");
                    try_at = Instant::now() + TRY_AGAIN;
                }
            }
        }
        let Some(open) = &mut connection else { continue };
        if let Err(error) = serve(open, ask).await {
            tracing::warn!(kind = ?error.kind(), "the connection to Redis broke");
            connection = None;
        }
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_LIMIT))
        .set_response_timeout(Some(ANSWER_LIMIT));
    client.get_multiplexed_async_connection_with_config(&limits).await
}

async fn serve(connection: &mut MultiplexedConnection, ask: Ask) -> Result<(), RedisError> {
    match ask {
        Ask::Announce(task, state, kept_for) => {
            let (key, state) = (channel(task), state.as_i32());
            let mut pipeline = redis::pipe();
            let set = pipeline.cmd("SET").arg(&key).arg(state);
            if let Some(kept_for) = kept_for {
                set.arg("EX").arg(kept_for.as_secs());
            }
            set.ignore().cmd("PUBLISH").arg(&key).arg(state).ignore();
            pipeline.query_async(connection).await
        }
        Ask::Look(task, reply) => {
            let number: Option<i32> = redis::cmd("GET").arg(channel(task)).query_async(connection).await?;
            // Whoever asked may have given up.
            let _ = reply.send(number.map(ExecState::from_i32));
            Ok(())
        }
        Ask::Flush(reply) => {
            let _ = reply.send(());
            Ok(())
        }
    }
}
