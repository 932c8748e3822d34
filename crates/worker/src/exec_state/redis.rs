//! Announces and reads task states on Redis, as 0.6.8 workers do.

use std::time::Duration;

use mitosis_domain::announcement::{channel, kept_for};
use mitosis_protocol::{ExecState, Uuid};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// The maximum number of announcements that wait while Redis is slow; further ones are dropped.
const QUEUE: usize = 1_000;
/// Time limit of a Redis reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between attempts to connect.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(5);

/// A handle to the Redis connection.
#[derive(Debug)]
pub(crate) struct Announcer(mpsc::Sender<Request>);

#[derive(Debug)]
enum Request {
    Announce(Uuid, ExecState, Option<Duration>),
    Get(Uuid, oneshot::Sender<Option<ExecState>>),
    Flush(oneshot::Sender<()>),
}

impl Announcer {
    /// Starts the task that keeps the connection; it ends with this handle. Returns nothing for an invalid
    /// address.
    pub(crate) fn start(url: &SecretString) -> Option<Self> {
        let client = Client::open(url.expose_secret())
            .inspect_err(|_| tracing::warn!("the coordinator's Redis address is invalid"))
            .ok()?;
        let (sender, inbox) = mpsc::channel(QUEUE);
        mitosis_background::spawn("redis", keep(client, inbox));
        Some(Self(sender))
    }

    /// Announces a state of a task whose timeout is `timeout`.
    pub(crate) fn announce(&self, task: Uuid, state: ExecState, timeout: Duration) {
        // A full queue means that Redis is slow; a dropped announcement would be stale by then.
        let _ = self.0.try_send(Request::Announce(task, state, kept_for(state, timeout)));
    }

    /// The state that was announced last for a task.
    pub(crate) async fn get(&self, task: Uuid) -> Option<ExecState> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Request::Get(task, reply)).ok()?;
        answer.await.ok()?
    }

    /// Waits briefly until everything is announced.
    pub(crate) async fn flush(&self) {
        let (reply, answer) = oneshot::channel();
        if self.0.try_send(Request::Flush(reply)).is_ok() {
            // Only an announcement can be lost.
            let _ = timeout(REPLY_TIMEOUT, answer).await;
        }
    }
}

async fn keep(client: Client, mut inbox: mpsc::Receiver<Request>) {
    let mut connection = None;
    let mut try_at = Instant::now();
    while let Some(request) = inbox.recv().await {
        if connection.is_none() && Instant::now() >= try_at {
            match connect(&client).await {
                Ok(fresh) => connection = Some(fresh),
                Err(error) => {
                    // The error text can contain the address.
                    tracing::warn!(kind = ?error.kind(), "failed to connect to Redis; task states are not announced");
                    try_at = Instant::now() + RECONNECT_INTERVAL;
                }
            }
        }
        let Some(open) = &mut connection else { continue };
        if let Err(error) = serve(open, request).await {
            tracing::warn!(kind = ?error.kind(), "lost the connection to Redis");
            connection = None;
        }
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(REPLY_TIMEOUT))
        .set_response_timeout(Some(REPLY_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&limits).await
}

async fn serve(connection: &mut MultiplexedConnection, request: Request) -> Result<(), RedisError> {
    match request {
        Request::Announce(task, state, kept_for) => {
            let (key, state) = (channel(task), state.as_i32());
            let mut pipeline = redis::pipe();
            let set = pipeline.cmd("SET").arg(&key).arg(state);
            if let Some(kept_for) = kept_for {
                set.arg("EX").arg(kept_for.as_secs());
            }
            set.ignore().cmd("PUBLISH").arg(&key).arg(state).ignore();
            pipeline.query_async(connection).await
        }
        Request::Get(task, reply) => {
            let number: Option<i32> = redis::cmd("GET").arg(channel(task)).query_async(connection).await?;
            // The requester may have stopped waiting.
            let _ = reply.send(number.map(ExecState::from_i32));
            Ok(())
        }
        Request::Flush(reply) => {
            let _ = reply.send(());
            Ok(())
        }
    }
}
