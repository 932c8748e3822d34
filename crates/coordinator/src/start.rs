//! Starts a coordinator from its settings, and stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mitosis_background::{Background, TaskFailed};
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::failpoints;
use mitosis_domain::name::{InvalidName, Name};
use mitosis_objects::directory::DirectoryStore;
use mitosis_objects::s3::{Addressing, S3Config, S3Store};
use mitosis_objects::{ObjectError, ObjectStore};
use mitosis_protocol::Md5Password;
use mitosis_store::ops::accounts::{Bootstrap, NewUser};
use mitosis_store::postgres::PostgresStore;
use mitosis_store::sqlite::SqliteStore;
use mitosis_store::{ForeignSchema, NewerSchema, Observer, Store, StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::api::forwarded::TrustedProxies;
use crate::api::objects::uploads::ObjectLocks;
use crate::app::{App, Parts};
use crate::auth::keys::{self, KeyError};
use crate::auth::login_codes::LoginCodes;
use crate::auth::passwords::Passwords;
use crate::auth::revalidation::UserCache;
use crate::auth::throttle::Throttle;
use crate::auth::tokens::Tokens;
use crate::dispatch::exchange_batcher::{self, ExchangeBatcher};
use crate::dispatch::held_attempts::HeldAttemptsReader;
use crate::dispatch::lease_clock::ClusterClock;
use crate::dispatch::peer_notifier::{self, HintQueue};
use crate::dispatch::renewals::Renewals;
use crate::dispatch::retry::Retry;
use crate::events::announcer::{Announcer, RedisConfigError};
use crate::events::feed::{self, Feed};
use crate::events::relay;
use crate::events::states::States;
use crate::failure_log::FailureLog;
use crate::jobs;
use crate::jobs::activity::Activity;
use crate::metrics::scrape::QueueReader;
use crate::metrics::{self, Metrics};
use crate::notify::Notify;
use crate::observed_objects::ObservedObjects;
use crate::publish::{Audience, Publisher};
use crate::reconcilers::{self, Passes};
use crate::secrets::cipher::SecretCipher;
use crate::serve;
use crate::settings::{DEFAULT_ADMIN, Database, Objects, S3Settings, Settings};
use crate::tls::{Tls, TlsError};
use crate::user_limits::{QueryLimiter, RequestCounter, StreamLimiter};

/// The name of the task that accepts connections.
const HTTP_SERVER: &str = "http-server";
/// How long background work may take to end.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(30);

/// Why a coordinator failed to start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key pair can't be used.
    #[error("invalid key pair for access tokens")]
    Keys(#[from] KeyError),
    /// TLS can't be configured.
    #[error("invalid TLS configuration")]
    Tls(#[from] TlsError),
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
    /// The system can't start more threads.
    #[error("can't start a thread")]
    Threads(#[source] io::Error),
    /// The object store can't be used.
    #[error("the object store can't be used")]
    Objects(#[from] ObjectError),
    /// The name of the first administrator is invalid.
    #[error("admin_user is not a valid name")]
    AdminName(#[from] InvalidName),
    /// The password of the first administrator is too long.
    #[error("admin_password has more than 255 bytes")]
    AdminPassword,
    /// The first administrator would have an empty password.
    #[error("admin_password is empty")]
    EmptyAdminPassword,
    /// Redis can't be used as configured.
    #[error("Redis can't be used")]
    Redis(#[from] RedisConfigError),
    /// The address of the metrics can't be listened on.
    #[error("can't listen on {address} for metrics")]
    Metrics {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address can't be listened on.
    #[error("can't listen on {address}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl StartError {
    /// The process that uses the embedded database, if that is the reason: its process id, if known.
    pub fn in_use_by(&self) -> Option<Option<u32>> {
        match self {
            Self::Store(StoreError::InUse { owner, .. }) => Some(*owner),
            _ => None,
        }
    }

    /// A hint for the operator.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Keys(KeyError::NoPair { .. }) => {
                "use the two files of one pair, or remove the public one: it is derived from the private one"
            }
            Self::Keys(_) => KeyError::HINT,
            Self::Tls(_) => {
                "tls_cert must be a PEM file with the certificate and the intermediate certificates, tls_key a PEM \
                 file with the private key"
            }
            Self::Store(StoreError::Unavailable(_)) => {
                "check db_url and that the database is running; on one machine, `mito dev` needs no database server"
            }
            Self::Store(StoreError::InUse { .. }) => "stop the other process or use another file",
            Self::Store(StoreError::Schema(cause)) if cause.is::<ForeignSchema>() => {
                "set db_url to an empty database; this one was not changed"
            }
            Self::Store(StoreError::Schema(cause)) if cause.is::<NewerSchema>() => {
                "use a version of mito that is at least as new as the database"
            }
            Self::Store(StoreError::Schema(_)) => {
                "a migration failed and was rolled back; see the message of the database"
            }
            Self::Store(StoreError::Setup(setup)) => setup.hint(),
            Self::Store(StoreError::Full(_)) => "free disk space on the machine of the database",
            Self::Store(_) => "check db_url",
            Self::Threads(_) => "raise the limit on processes (`ulimit -u`, TasksMax=)",
            Self::Objects(error) => return error.hint().map(str::to_owned),
            Self::Redis(RedisConfigError::Address(_)) => {
                "set redis_url to an address that workers and clients can reach, or remove it"
            }
            Self::Redis(RedisConfigError::PasswordsMissing) => {
                "set redis_worker_password and redis_client_password"
            }
            Self::Redis(RedisConfigError::Shared(_)) => {
                "check db_url, or set redis_worker_password and redis_client_password"
            }
            Self::AdminName(_) | Self::AdminPassword | Self::EmptyAdminPassword => "set another value",
            Self::Metrics { .. } => "choose another metrics_addr, or leave it out",
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "another program uses this port; choose another one with --bind",
                io::ErrorKind::AddrNotAvailable => {
                    "this machine does not have this address; choose another one with --bind"
                }
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 require root; choose another one with --bind"
                }
                _ => "choose another address with --bind",
            },
        };
        Some(text.to_owned())
    }
}

/// How to stop a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Wait for requests in flight.
    Gracefully,
    /// Abort requests in flight. Nothing that was acknowledged is lost.
    Now,
}

/// Starts coordinators.
#[derive(Debug)]
pub struct Coordinator;

/// A running coordinator.
pub struct Running {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
    background: Background,
    server: JoinHandle<()>,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Coordinator {
    /// Starts all parts. Cheap checks of the settings come first. When it returns, the service accepts requests.
    pub async fn start(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Running, StartError> {
        let pair = keys::load(&settings.keys)?;
        let secrets = SecretCipher::new(&pair)?;
        let tls = settings.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
        let admin = Name::new(settings.admin_user.as_str())?;
        let metrics = Arc::new(Metrics::new());
        let store = open_store(&settings.database, metrics.observer()).await?;
        let cluster_clock = ClusterClock::new(clock, settings.lease_clock, settings.heartbeat_timeout);
        cluster_clock.refresh(&*store).await?;
        let clock: Arc<dyn Clock> = Arc::new(cluster_clock.clone());
        let objects = open_objects(&settings.objects, &clock, &entropy).await?;
        let objects = Arc::new(ObservedObjects { inner: objects, metrics: metrics.clone() });
        let passwords = Passwords::new(entropy.clone()).map_err(StartError::Threads)?;
        bootstrap(&*store, &passwords, admin, &settings.admin_password, &*clock).await?;
        let started_at = clock.now();
        let stopping = CancellationToken::new();
        let background = Background::new(stopping.clone());
        let announcer = start_announcer(settings.redis.as_ref(), &*store, &*entropy, &background).await?;
        let listener = listen(settings.bind).await?;
        let address =
            listener.local_addr().map_err(|source| StartError::Bind { address: settings.bind, source })?;

        let metrics_listener = listen_for_metrics(settings.metrics_addr).await?;
        let retry = Retry::new(entropy.clone(), stopping.clone());
        let (publisher, audience, outbox) = Publisher::start();
        let Audience { ready, changed, agents, output, memberships: membership_cache, jobs, peers } =
            audience;
        let dependencies = exchange_batcher::Dependencies {
            store: store.clone(),
            cluster_clock: cluster_clock.clone(),
            retry: retry.clone(),
            ready: ready.clone(),
            publisher: publisher.clone(),
            metrics: metrics.clone(),
            stopping: stopping.clone(),
        };
        let batcher = start_exchange_batcher(&background, dependencies);
        let app = App::new(Parts {
            renewals: Renewals::start(&background, store.clone(), cluster_clock.clone()),
            cluster_clock,
            publisher,
            agents,
            batcher,
            held_attempts: HeldAttemptsReader::start(&background, store.clone()),
            peers,
            store: store.clone(),
            objects,
            secrets,
            tokens: Tokens::new(&pair, settings.token_lifetime),
            passwords,
            throttle: Throttle::default(),
            login_codes: LoginCodes::default(),
            user_cache: UserCache::default(),
            membership_cache,
            ready,
            changed,
            retry,
            output,
            feed: Feed::new(),
            states: States::default(),
            jobs,
            notify: Notify::new(settings.notify_allow.clone()),
            announcer,
            object_locks: ObjectLocks::default(),
            query_limiter: QueryLimiter::new(matches!(settings.database, Database::Sqlite(_))),
            stream_limiter: StreamLimiter::default(),
            request_counter: RequestCounter::default(),
            failure_log: FailureLog::default(),
            metrics,
            queue_reader: QueueReader::default(),
            activity: Activity::default(),
            first_admin: settings.admin_user.clone(),
            started_at,
            started_steady: clock.steady(),
            lease: settings.heartbeat_timeout,
            retention: settings.retention,
            public_url: settings.public_url.clone(),
            tls: tls.clone(),
            knows_its_proxies: settings.trusted_proxies != TrustedProxies::default(),
            trusted_proxies: settings.trusted_proxies.clone(),
            shutdown_secret: shutdown_secret(&*entropy),
            background: background.clone(),
            passes: Passes::default(),
            stopping,
            clock,
            entropy,
        });
        warn_about_the_default_password(&settings);
        tracing::warn!(secret = app.shutdown_secret.expose_secret(), "secret for `client admin shutdown`");
        start_passes(&app, outbox);
        let metrics_address = start_metrics(&app, metrics_listener);
        let serving = serve::serve(listener, api::router(app.clone()), app);
        let server = mitosis_background::spawn(HTTP_SERVER, serving);
        if tls.is_some() {
            tracing::info!("serving HTTPS");
        }
        tracing::info!(%address, "listening");
        Ok(Running { address, metrics_address, tls, background, server, store })
    }
}

impl Running {
    /// The address it listens on, with the actual port if the settings have port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves metrics without a token, if anywhere.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Reloads the certificate and key for new connections. If they can't be used, the current ones are kept. Without TLS,
    /// this does nothing.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(tls) = &self.tls else { return Ok(()) };
        tls.reload()?;
        tracing::info!("reloaded the certificate");
        Ok(())
    }

    /// Returns when the service has stopped by itself: on request of an administrator, or because a critical task failed.
    pub async fn finished(&mut self) -> Result<(), TaskFailed> {
        let served = (&mut self.server).await.map_err(|error| of_server(&error));
        self.background.failure().map_or(served, Err)
    }

    /// Stops the service and closes the database.
    pub async fn stop(mut self, how: Stop) -> Result<(), TaskFailed> {
        failpoints::point("shutdown.drain:before");
        self.background.stopping().cancel();
        if how == Stop::Now {
            self.server.abort();
        }
        let outcome = if self.server.is_finished() { Ok(()) } else { self.drained(how).await };
        if !self.background.close(BACKGROUND_LIMIT).await {
            tracing::warn!("background tasks did not end in time");
        }
        failpoints::point("shutdown.drain:after");
        self.store.close().await;
        self.background.failure().map_or(outcome, Err)
    }

    async fn drained(&mut self, how: Stop) -> Result<(), TaskFailed> {
        match (&mut self.server).await {
            Ok(()) => Ok(()),
            Err(_) if how == Stop::Now => Ok(()),
            Err(error) => Err(of_server(&error)),
        }
    }
}

impl Coordinator {
    /// Checks whether a PostgreSQL database can be used, without changing it. An embedded database is checked at the start.
    pub async fn inspect(database: &Database) -> Result<(), StartError> {
        match database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(url) => Ok(PostgresStore::inspect(url.expose_secret()).await?),
        }
    }
}

async fn listen_for_metrics(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| StartError::Metrics { address, source })
}

/// Serves metrics on an address of their own.
fn start_metrics(app: &App, listener: Option<TcpListener>) -> Option<SocketAddr> {
    let listener = listener?;
    let address = listener.local_addr().ok();
    app.background.spawn_serving("metrics-server", metrics::listener::serve(listener, app.clone()));
    if let Some(address) = address {
        tracing::info!(%address, "serving metrics");
    }
    address
}

fn of_server(error: &JoinError) -> TaskFailed {
    TaskFailed { task: HTTP_SERVER, panic: error.is_panic().then(|| error.to_string()) }
}

fn start_exchange_batcher(
    background: &Background,
    dependencies: exchange_batcher::Dependencies,
) -> ExchangeBatcher {
    let (batcher, requests) = ExchangeBatcher::new();
    background.spawn_critical("exchange-batcher", exchange_batcher::serve(dependencies, requests));
    batcher
}

async fn start_announcer(
    redis: Option<&crate::RedisSettings>,
    store: &dyn Store,
    entropy: &dyn Entropy,
    background: &Background,
) -> Result<Announcer, StartError> {
    match redis {
        Some(redis) => Ok(Announcer::start(redis, store, entropy, background).await?),
        None => Ok(Announcer::off()),
    }
}

/// Starts the background tasks that act by themselves.
fn start_passes(app: &App, outbox: HintQueue) {
    reconcilers::start(app, &app.background);
    start_peer_notifier(app, outbox);
    jobs::start(app);
    start_event_feed(app);
}

fn start_event_feed(app: &App) {
    let (background, app) = (app.background.clone(), app.clone());
    background.spawn_restarting("event-feed", move || feed::serve(app.clone()));
}

fn start_peer_notifier(app: &App, outbox: HintQueue) {
    let dependencies = peer_notifier::Dependencies {
        store: app.store.clone(),
        entropy: app.entropy.clone(),
        ready: app.ready.clone(),
        changed: app.changed.clone(),
        publisher: app.publisher.clone(),
        stopping: app.stopping.clone(),
    };
    let background = app.background.clone();
    let app = app.clone();
    background.spawn_restarting("peer-notifier", move || {
        let app = app.clone();
        peer_notifier::serve(dependencies.clone(), outbox.clone(), move |received| {
            relay::apply(&app, received);
        })
    });
}

async fn open_store(database: &Database, observer: Arc<dyn Observer>) -> Result<Arc<dyn Store>, StoreError> {
    match database {
        Database::Sqlite(path) => {
            let path = path.clone();
            let store = tokio::task::spawn_blocking(move || SqliteStore::open(&path))
                .await
                .map_err(|panic| StoreError::Unexpected(panic.into()))??;
            Ok(Arc::new(store.observed_by(observer)))
        }
        Database::Postgres(url) => {
            Ok(Arc::new(PostgresStore::open(url.expose_secret()).await?.observed_by(observer)))
        }
    }
}

async fn open_objects(
    objects: &Objects,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    let store: Arc<dyn ObjectStore> = match objects {
        Objects::Directory(root) => Arc::new(DirectoryStore::open(root, entropy.clone()).await?),
        Objects::S3(settings) => {
            Arc::new(S3Store::new(&s3_config(settings), clock.clone(), entropy.clone())?)
        }
    };
    store.prepare().await?;
    Ok(store)
}

fn s3_config(settings: &S3Settings) -> S3Config {
    let S3Settings { endpoint, access_key, secret_key, .. } = settings;
    S3Config {
        public_endpoint: settings.public_endpoint.clone(),
        region: settings.region.clone(),
        addressing: match settings.force_path_style {
            true => Addressing::Path,
            false => Addressing::VirtualHost,
        },
        artifacts_bucket: settings.artifacts_bucket.clone(),
        attachments_bucket: settings.attachments_bucket.clone(),
        ..S3Config::new(endpoint.clone(), access_key, secret_key.clone())
    }
}

/// Creates the first administrator, once per database.
async fn bootstrap(
    store: &dyn Store,
    passwords: &Passwords,
    name: Name,
    password: &SecretString,
    clock: &dyn Clock,
) -> Result<(), StartError> {
    let password = password.expose_secret();
    if password.len() > 255 {
        return Err(StartError::AdminPassword);
    }
    let digest = Md5Password::from_digest(md5::compute(password).0);
    if digest.is_empty() {
        // After the first start, the setting has no effect and may be empty.
        return match store.user(name.as_str()).await? {
            Some(_) => Ok(()),
            None => Err(StartError::EmptyAdminPassword),
        };
    }
    let password_hash = passwords.hash(&digest).await.expect("the queue is empty at the start");
    let new = NewUser { name, password_hash, admin: true };
    match store.bootstrap_admin(&new, clock.now()).await? {
        Bootstrap::Created(_) => tracing::info!(user = %new.name, "created the first administrator"),
        Bootstrap::AlreadyDone => {}
        Bootstrap::NameTaken => {
            tracing::warn!(user = %new.name, "the name of the first administrator is taken; no account was created");
        }
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

fn shutdown_secret(entropy: &dyn Entropy) -> SecretString {
    entropy.uuid().simple().to_string().into()
}

fn warn_about_the_default_password(settings: &Settings) {
    let is_reached_from_elsewhere = !settings.bind.ip().is_loopback()
        || settings.public_url.is_some()
        || settings.trusted_proxies != TrustedProxies::default();
    if is_reached_from_elsewhere && settings.admin_password.expose_secret() == DEFAULT_ADMIN {
        tracing::error!(
            bind = %settings.bind, user = settings.admin_user,
            "the administrator still has the documented default password; remote logins with it are rejected. Change \
             it with `mito client users change-password`, or set admin_password before the first start"
        );
    }
}
