//! Live execution states on Redis (semantics §10): the users that may read and write them, and the states of native
//! agents.
//!
//! Nothing waits for Redis. Announcements pass through a queue, and are dropped if it is full or Redis can't be reached.
//! Legacy workers announce their states themselves. The users are created again with every new connection, because a
//! Redis without persistence loses them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mitosis_background::Background;
use mitosis_domain::announcement::{channel, kept_for, of_failure};
use mitosis_domain::entropy::Entropy;
use mitosis_protocol::doctor::RedisContact;
use mitosis_protocol::{ExecState, TaskResultMessage, Uuid};
use mitosis_store::{Store, StoreError};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use url::Url;

use crate::settings::RedisSettings;

/// Announcements that wait while Redis is slow.
const QUEUE: usize = 10_000;
/// Announcements in one round trip.
const BATCH: usize = 500;
/// How long Redis may take to respond.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How often the connection is checked or attempted.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Why `redis_url` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisConfigError {
    /// The URL has no address that workers and clients could reach.
    #[error("redis_url must have the form redis://:PASSWORD@HOST:PORT, or rediss:// for TLS")]
    Address(#[source] Option<RedisError>),
    /// Passwords are neither configured nor managed by the coordinator.
    #[error("with redis_skip_acl_rules, redis_worker_password and redis_client_password are required")]
    PasswordsMissing,
    /// The passwords that the coordinators share can't be read.
    #[error("can't read the shared passwords of Redis from the database")]
    Shared(#[from] StoreError),
}

/// A state of a task to announce.
#[derive(Debug, Clone, Copy)]
struct Announcement {
    task: Uuid,
    state: ExecState,
    kept_for: Option<Duration>,
}

/// A lookup of the last announced state of a task.
type Lookup = (Uuid, oneshot::Sender<Option<ExecState>>);

/// Announces states; does nothing if Redis is not configured.
#[derive(Debug)]
pub(crate) struct Announcer(Option<Connection>);

#[derive(Debug)]
struct Connection {
    worker_url: SecretString,
    client_url: SecretString,
    announcements: mpsc::Sender<Announcement>,
    lookups: mpsc::Sender<Lookup>,
    contact: watch::Receiver<RedisContact>,
}

/// A user of Redis, with the ACL rules of the contract.
struct RedisUser {
    name: &'static str,
    password: SecretString,
    rules: &'static [&'static str],
}

impl Announcer {
    /// An announcer without Redis.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// Whether anything is announced.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Starts the task that maintains the connection, and waits a moment for the first one.
    pub(crate) async fn start(
        settings: &RedisSettings,
        store: &dyn Store,
        entropy: &dyn Entropy,
        background: &Background,
    ) -> Result<Self, RedisConfigError> {
        let invalid = |error| RedisConfigError::Address(Some(error));
        let info = settings.url.expose_secret().into_connection_info().map_err(invalid)?;
        let address = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) => ServerAddress { scheme: "redis", host, port },
            ConnectionAddr::TcpTls { host, port, .. } => ServerAddress { scheme: "rediss", host, port },
            _ => return Err(RedisConfigError::Address(None)),
        };
        let client = Client::open(info).map_err(invalid)?;
        let worker = user(settings, settings.worker_password.as_ref(), store, entropy, WORKER).await?;
        let reader = user(settings, settings.client_password.as_ref(), store, entropy, CLIENT).await?;
        let (announcements, inbox) = mpsc::channel(QUEUE);
        let (lookups, lookup_requests) = mpsc::channel(QUEUE);
        let (contact, mut looked) = watch::channel(RedisContact::Unreachable);
        let link = Connection {
            worker_url: url(&worker, &address)?,
            client_url: url(&reader, &address)?,
            announcements,
            lookups,
            contact: looked.clone(),
        };
        let users = if settings.skip_acl_rules { Vec::new() } else { vec![worker, reader] };
        let link_to_redis = Arc::new((client, users, contact));
        let inboxes = Arc::new(Mutex::new((inbox, lookup_requests)));
        let stopping = background.stopping().clone();
        background.spawn_restarting("redis-announcer", move || {
            let (stopping, link, inboxes) = (stopping.clone(), link_to_redis.clone(), inboxes.clone());
            async move {
                let (client, users, contact) = &*link;
                let (inbox, lookup_requests) = &mut *inboxes.lock().await;
                stopping.run_until_cancelled(maintain(client, users, inbox, lookup_requests, contact)).await;
            }
        });
        let connected = looked.wait_for(|contact| *contact == RedisContact::Connected);
        if tokio::time::timeout(2 * ANSWER_LIMIT, connected).await.is_err() {
            tracing::warn!("can't connect to Redis; live states are announced once it is available");
        }
        Ok(Self(Some(link)))
    }

    /// The URL for workers; `None` without Redis.
    pub(crate) fn worker_url(&self) -> Option<&str> {
        self.0.as_ref().map(|link| link.worker_url.expose_secret())
    }

    /// The URL for clients; `None` without Redis.
    pub(crate) fn client_url(&self) -> Option<&str> {
        self.0.as_ref().map(|link| link.client_url.expose_secret())
    }

    /// Whether Redis is connected; `None` if it is not configured.
    pub(crate) fn is_connected(&self) -> Option<bool> {
        self.contact().map(|contact| contact == RedisContact::Connected)
    }

    /// The state of the connection; `None` if Redis is not configured.
    pub(crate) fn contact(&self) -> Option<RedisContact> {
        self.0.as_ref().map(|link| link.contact.borrow().clone())
    }

    /// Announces that a task with this timeout was assigned to an agent that does not report states.
    pub(crate) fn assigned(&self, task: Uuid, timeout: Duration, fetches_first: bool) {
        let state = if fetches_first { ExecState::FetchResource } else { ExecState::ExecPending };
        self.announce(task, state, timeout);
    }

    /// Announces that the command has finished.
    pub(crate) fn finished(&self, task: Uuid) {
        self.announce(task, ExecState::ExecFinished, Duration::ZERO);
    }

    /// Announces that artifacts are being uploaded.
    pub(crate) fn uploads(&self, task: Uuid) {
        self.announce(task, ExecState::UploadResult, Duration::ZERO);
    }

    /// Announces that the task has ended, after a failure if there was one.
    pub(crate) fn committed(&self, task: Uuid, msg: Option<TaskResultMessage>) {
        for state in msg.and_then(of_failure).into_iter().chain([ExecState::TaskCommitted]) {
            self.announce(task, state, Duration::ZERO);
        }
    }

    /// Announces that the worker of a task is gone.
    pub(crate) fn left(&self, task: Uuid) {
        self.announce(task, ExecState::WorkerExited, Duration::ZERO);
    }

    /// Announces a state of a task with this timeout.
    pub(crate) fn announce(&self, task: Uuid, state: ExecState, timeout: Duration) {
        if let Some(link) = &self.0 {
            let kept_for = kept_for(state, timeout);
            // A full queue means that Redis is slow; dropped states would be stale by then.
            let _ = link.announcements.try_send(Announcement { task, state, kept_for });
        }
    }

    /// The last announced state of a task; `None` without Redis.
    pub(crate) async fn announced(&self, task: Uuid) -> Option<ExecState> {
        let (reply, answer) = oneshot::channel();
        self.0.as_ref()?.lookups.try_send((task, reply)).ok()?;
        answer.await.ok()?
    }
}

type UserRules = (&'static str, &'static [&'static str]);

const WORKER: UserRules = (
    "mitosis_worker",
    &["~task:*", "&task:*", "+@read", "+@write", "+@connection", "+@pubsub", "-@dangerous"],
);
/// Only subscribes: `+@pubsub` would allow it to publish false states.
const CLIENT: UserRules = (
    "mitosis_client",
    &[
        "~task:*",
        "&task:*",
        "+@read",
        "+@connection",
        "+subscribe",
        "+psubscribe",
        "+unsubscribe",
        "+punsubscribe",
        "-@dangerous",
    ],
);

/// Creates the settings of a user. Without a configured password, all coordinators of the database share a generated
/// one: each of them sets up the users, and must not lock out the workers and clients of another.
async fn user(
    settings: &RedisSettings,
    password: Option<&SecretString>,
    store: &dyn Store,
    entropy: &dyn Entropy,
    (name, rules): UserRules,
) -> Result<RedisUser, RedisConfigError> {
    let password = match password {
        Some(password) => password.clone(),
        None if settings.skip_acl_rules => return Err(RedisConfigError::PasswordsMissing),
        None => {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            let proposal = URL_SAFE_NO_PAD.encode(bytes);
            store.shared_secret(&format!("redis {name}"), &proposal).await?.into()
        }
    };
    Ok(RedisUser { name, password, rules })
}

/// The address of the server.
struct ServerAddress {
    scheme: &'static str,
    host: String,
    port: u16,
}

fn url(
    user: &RedisUser,
    ServerAddress { scheme, host, port }: &ServerAddress,
) -> Result<SecretString, RedisConfigError> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let unusable = |()| RedisConfigError::Address(None);
    let mut url = Url::parse(&format!("{scheme}://{host}:{port}/?protocol=resp3"))
        .map_err(|_| RedisConfigError::Address(None))?;
    url.set_username(user.name).map_err(unusable)?;
    url.set_password(Some(user.password.expose_secret())).map_err(unusable)?;
    Ok(String::from(url).into())
}

/// Maintains a connection and publishes announcements until all senders are dropped.
async fn maintain(
    client: &Client,
    users: &[RedisUser],
    inbox: &mut mpsc::Receiver<Announcement>,
    lookup_requests: &mut mpsc::Receiver<Lookup>,
    contact: &watch::Sender<RedisContact>,
) {
    let mut look = tokio::time::interval(POLL_INTERVAL);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut connection = None;
    let mut batch = Vec::new();
    loop {
        batch.clear();
        let outcome = tokio::select! {
            received = inbox.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    return;
                }
                match &mut connection {
                    Some(connection) => publish(connection, &batch).await,
                    None => continue,
                }
            }
            Some((task, reply)) = lookup_requests.recv() => match &mut connection {
                Some(connection) => look_up(connection, task, reply).await,
                None => continue,
            },
            _ = look.tick() => match &mut connection {
                Some(connection) => redis::cmd("PING").query_async(connection).await,
                None => connect(client, users).await.map(|fresh| connection = Some(fresh)),
            }
        };
        let now = match outcome {
            Ok(()) => RedisContact::Connected,
            Err(error) => contact_of(&error, connection.take().is_some()),
        };
        contact.send_replace(now);
    }
}

/// Converts an error. Its text is neither logged nor returned, because that of a rejected command can contain a
/// password.
fn contact_of(error: &RedisError, was_connected: bool) -> RedisContact {
    let contact = match error.code() {
        Some(code) => RedisContact::Refused { code: code.to_owned() },
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            RedisContact::Refused { code: "WRONGPASS".to_owned() }
        }
        None => RedisContact::Unreachable,
    };
    if was_connected {
        tracing::warn!(?contact, "lost the connection to Redis");
    } else {
        tracing::debug!(?contact, "can't connect to Redis");
    }
    contact
}

async fn connect(client: &Client, users: &[RedisUser]) -> Result<MultiplexedConnection, RedisError> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_LIMIT))
        .set_response_timeout(Some(ANSWER_LIMIT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await?;
    for user in users {
        redis::cmd("ACL")
            .arg("SETUSER")
            .arg(user.name)
            .arg("reset")
            .arg("on")
            .arg(format!(">{}", user.password.expose_secret()))
            .arg(user.rules)
            .query_async::<()>(&mut connection)
            .await?;
    }
    tracing::info!("connected to Redis");
    Ok(connection)
}

async fn look_up(
    connection: &mut MultiplexedConnection,
    task: Uuid,
    reply: oneshot::Sender<Option<ExecState>>,
) -> Result<(), RedisError> {
    let number: Option<i32> = redis::cmd("GET").arg(channel(task)).query_async(connection).await?;
    // The caller may have cancelled the request.
    let _ = reply.send(number.map(ExecState::from_i32));
    Ok(())
}

/// Publishes every state, and stores only the last one of each task.
async fn publish(connection: &mut MultiplexedConnection, batch: &[Announcement]) -> Result<(), RedisError> {
    let last: HashMap<Uuid, usize> = batch.iter().enumerate().map(|(place, one)| (one.task, place)).collect();
    let mut pipeline = redis::pipe();
    for (place, Announcement { task, state, kept_for }) in batch.iter().enumerate() {
        let (key, state) = (channel(*task), state.as_i32());
        if last[task] == place {
            let set = pipeline.cmd("SET").arg(&key).arg(state);
            if let Some(kept_for) = kept_for {
                set.arg("EX").arg(kept_for.as_secs());
            }
            set.ignore();
        }
        pipeline.cmd("PUBLISH").arg(&key).arg(state).ignore();
    }
    pipeline.query_async(connection).await
}
