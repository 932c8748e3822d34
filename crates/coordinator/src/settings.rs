//! What a coordinator needs to be told. Reading files and arguments is the binary's business.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::api::forwarded::TrustedProxies;

/// Name and password of the first administrator unless others are given: the documentation says them, so
/// everybody knows them.
pub(crate) const DEFAULT_ADMIN: &str = "mitosis_admin";

/// What the leases of workers are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseClockSource {
    /// The clock of the database: coordinators agree, whatever their own clocks say.
    Database,
    /// The clock of this process, for one coordinator that stands alone under a test.
    Process {
        /// Time without a look at the leases that does not count.
        standstill: Duration,
    },
}

/// Everything a coordinator needs to be told. The defaults are those of the contract
/// (command line §3.1).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Its own certificate, where no proxy stands in front of it.
    pub tls: Option<TlsFiles>,
    /// The address by which others know it, if that is another than the one that their requests name.
    pub public_url: Option<Url>,
    /// Where state is.
    pub database: Database,
    /// Where objects are.
    pub objects: Objects,
    /// Where live states are announced, if anywhere.
    pub redis: Option<RedisSettings>,
    /// Name of the first administrator, made once.
    pub admin_user: String,
    /// Password of the first administrator.
    pub admin_password: SecretString,
    /// The pair that signs tokens.
    pub keys: KeyFiles,
    /// Life of a token that does not ask for another.
    pub token_lifetime: Duration,
    /// How long a worker may be silent before its tasks are given to others.
    pub heartbeat_timeout: Duration,
    /// What the leases of workers are measured by.
    pub lease_clock: LeaseClockSource,
    /// How long an ended task is kept, with its archives; for ever unless set.
    pub retain_tasks: Option<Duration>,
    /// Proxies that are believed about the sender of a request and the address that it used.
    pub trusted_proxies: TrustedProxies,
}

/// A certificate and its key, in two PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Where state is.
#[derive(Debug, Clone)]
pub enum Database {
    /// An embedded file.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by URL.
    Postgres(SecretString),
}

/// Where objects are.
#[derive(Debug, Clone)]
pub enum Objects {
    /// A directory; the coordinator serves the bytes itself.
    Directory(PathBuf),
    /// An S3-compatible service.
    S3(Box<S3Settings>),
}

/// An S3-compatible service.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Where it is.
    pub endpoint: Url,
    /// Where clients and workers reach it, if that is another address.
    pub public_endpoint: Option<Url>,
    /// Names the account.
    pub access_key: String,
    /// Proves it.
    pub secret_key: SecretString,
    /// What requests are signed for.
    pub region: String,
    /// Put the bucket into the path rather than into the host name.
    pub force_path_style: bool,
    /// Bucket of artifacts.
    pub artifacts_bucket: String,
    /// Bucket of attachments.
    pub attachments_bucket: String,
}

/// A Redis server for live execution states (semantics §10).
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is, with the password of a user that may manage others.
    pub url: SecretString,
    /// Password of the workers' user; drawn at each start unless given.
    pub worker_password: Option<SecretString>,
    /// Password of the clients' user; drawn at each start unless given.
    pub client_password: Option<SecretString>,
    /// Leave the users as they are.
    pub skip_acl_rules: bool,
}

/// The Ed25519 pair that signs tokens, in two PEM files.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// PKCS#8.
    pub private: PathBuf,
    /// SubjectPublicKeyInfo.
    pub public: PathBuf,
    /// Make the pair if both files are missing.
    pub create: bool,
}

impl Settings {
    /// The documented defaults, for state and objects that are given.
    pub fn new(database: Database, objects: Objects) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
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
            retain_tasks: None,
            trusted_proxies: TrustedProxies::default(),
        }
    }
}
