//! The settings of a coordinator. The binary reads them from files and arguments.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mitosis_domain::notify::AllowedReceivers;
use secrecy::SecretString;
use url::Url;

use crate::api::forwarded::TrustedProxies;

/// The default name and password of the first administrator. They are documented and therefore public.
pub(crate) const DEFAULT_ADMIN: &str = "mitosis_admin";

/// The clock that measures the leases of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseClockSource {
    /// The clock of the database, so that all coordinators agree.
    Database,
    /// The clock of this process, for a single coordinator in a test.
    Process {
        /// A gap between two readings that does not count as lease time.
        standstill: Duration,
    },
}

/// The settings of a coordinator. The defaults are those of the contract (command line §3.1).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where to serve metrics without a token, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// The certificate, if the coordinator serves HTTPS itself.
    pub tls: Option<TlsFiles>,
    /// The public address, if it differs from the one in requests.
    pub public_url: Option<Url>,
    /// Where state is stored.
    pub database: Database,
    /// Where objects are stored.
    pub objects: Objects,
    /// The Redis server on which live states are announced, if any.
    pub redis: Option<RedisSettings>,
    /// The name of the first administrator, who is created once.
    pub admin_user: String,
    /// The password of the first administrator.
    pub admin_password: SecretString,
    /// The key pair that signs tokens.
    pub keys: KeyFiles,
    /// The default lifetime of tokens.
    pub token_lifetime: Duration,
    /// How long a worker may be silent before its tasks are requeued.
    pub heartbeat_timeout: Duration,
    /// The clock that measures the leases of workers.
    pub lease_clock: LeaseClockSource,
    /// How long ended tasks and their archives are kept, and where.
    pub retention: RetentionSettings,
    /// Proxies whose headers about the client and the public address are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Where notifications about ended jobs may be sent.
    pub notify_allow: AllowedReceivers,
}

/// How long ended tasks and their archives are kept, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// How long an ended task without a job is kept with its archives; forever unless set.
    pub tasks: Option<Duration>,
    /// How long an ended job is kept with its tasks; forever unless set.
    pub jobs: Option<Duration>,
    /// How long the archives of an ended task are kept; as long as the task unless set.
    pub output: Option<Duration>,
    /// When small archives move from the database to packed objects in the object store; never unless set.
    pub pack_output_after: Option<Duration>,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { tasks: None, jobs: None, output: None, pack_output_after: Some(Duration::from_hours(24)) }
    }
}

/// A certificate and its key, in two PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, followed by intermediate certificates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The database.
#[derive(Debug, Clone)]
pub enum Database {
    /// An embedded SQLite file.
    Sqlite(PathBuf),
    /// The URL of a PostgreSQL server.
    Postgres(SecretString),
}

/// The object store.
#[derive(Debug, Clone)]
pub enum Objects {
    /// A directory; the coordinator serves the files.
    Directory(PathBuf),
    /// An S3-compatible service.
    S3(Box<S3Settings>),
}

/// The settings of an S3-compatible service.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The address of the service.
    pub endpoint: Url,
    /// The address for clients and workers, if it differs.
    pub public_endpoint: Option<Url>,
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: SecretString,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether the bucket is part of the path instead of the host name.
    pub force_path_style: bool,
    /// The bucket of artifacts.
    pub artifacts_bucket: String,
    /// The bucket of attachments.
    pub attachments_bucket: String,
}

/// A Redis server for live execution states (semantics §10).
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// The URL of the server, with the password of a user that may manage other users.
    pub url: SecretString,
    /// The password of the user for workers; generated unless set.
    pub worker_password: Option<SecretString>,
    /// The password of the user for clients; generated unless set.
    pub client_password: Option<SecretString>,
    /// Whether to leave the users of Redis unchanged.
    pub skip_acl_rules: bool,
}

/// The Ed25519 pair that signs tokens, in two PEM files.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// The private key, in PKCS#8.
    pub private: PathBuf,
    /// The public key, as SubjectPublicKeyInfo.
    pub public: PathBuf,
    /// Whether to create the pair if both files are missing.
    pub create: bool,
}

impl Settings {
    /// The documented defaults, for this database and object store.
    pub fn new(database: Database, objects: Objects) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            metrics_addr: None,
            tls: None,
            public_url: None,
            database,
            objects,
            redis: None,
            admin_user: DEFAULT_ADMIN.to_owned(),
            admin_password: DEFAULT_ADMIN.into(),
            keys: KeyFiles { private: "private.pem".into(), public: "public.pem".into(), create: true },
            token_lifetime: Duration::from_hours(7 * 24),
            heartbeat_timeout: Duration::from_mins(10),
            lease_clock: LeaseClockSource::Database,
            retention: RetentionSettings::default(),
            trusted_proxies: TrustedProxies::default(),
            notify_allow: AllowedReceivers::default(),
        }
    }
}
