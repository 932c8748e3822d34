//! Failures of a database, as opposed to refused requests.

use mitosis_domain::timeout::InvalidTimeout;

/// The database failed. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached or does not answer; a retry may help.
    #[error("the database can't be reached")]
    Unavailable(#[source] BoxError),
    /// The disk of the database is full; a retry helps once there is free space.
    #[error("the disk of the database is full")]
    Full(#[source] BoxError),
    /// The connection broke during a commit: whether the change is durable is unknown. Operations are safe to
    /// repeat.
    #[error("the connection to the database broke during a commit")]
    CommitUnknown(#[source] BoxError),
    /// Another process has the embedded database open.
    #[error("the database {path} is in use by another process{}", owner.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The database file.
        path: String,
        /// The process that has it open, if it wrote its id.
        owner: Option<u32>,
    },
    /// The schema is newer than this program, or a migration failed.
    #[error("the database schema can't be upgraded")]
    Schema(#[source] BoxError),
    /// The address or path of the database is invalid.
    #[error("invalid database address `{address}`")]
    Address {
        /// As configured, without its password.
        address: String,
        /// The problem.
        #[source]
        source: BoxError,
    },
    /// The database can be reached, but is not set up for this program.
    #[error("the database is not set up for mito")]
    Setup(#[source] SetupError),
    /// A text contains a NUL character, which PostgreSQL can't store or compare, or a character that the
    /// encoding of the database lacks.
    #[error("a text contains a character that the database can't store")]
    Nul(#[source] BoxError),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A row that this program can't have written, or a failed statement: a defect.
    #[error("unexpected data or an unexpected error in the database")]
    Unexpected(#[source] BoxError),
}

/// A problem that an administrator of the database has to solve; the source of [`StoreError::Setup`].
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The role in `db_url` lacks a privilege.
    #[error("the role in db_url lacks a privilege")]
    MissingPrivilege(#[source] BoxError),
    /// The database is read-only.
    #[error("the database is read-only for the role in db_url")]
    ReadOnly(#[source] BoxError),
    /// The encoding of the database lacks characters.
    #[error("the encoding of the database is {found}, which can't store every text")]
    Encoding {
        /// The name that PostgreSQL uses for it.
        found: String,
    },
    /// A pooler assigns server processes per transaction or statement.
    #[error("a connection pooler in transaction or statement mode is between mito and the database")]
    SharedSessions,
    /// No encrypted connection could be established.
    #[error("TLS to {address} failed")]
    Tls {
        /// The address without the password.
        address: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
}

impl SetupError {
    /// How to solve the problem.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::MissingPrivilege(_) => {
                "as the owner of the database, run `GRANT CONNECT, CREATE ON DATABASE … TO …` and \
                 `GRANT USAGE, CREATE ON SCHEMA public TO …`, or make the role the owner of the database"
            }
            Self::ReadOnly(_) => {
                "connect to the primary server (`?target_session_attrs=read-write` finds it among several hosts), \
                 with a role whose default_transaction_read_only is off"
            }
            Self::Encoding { .. } => {
                "create the database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
            }
            Self::SharedSessions => {
                "set pool_mode = session for this database in the pooler, or connect to PostgreSQL itself: mito \
                 pools its connections and opens at most 21 per coordinator"
            }
            Self::Tls { .. } => {
                "check sslmode, sslrootcert, sslcert and sslkey in db_url; `?sslmode=disable` connects without TLS"
            }
        }
    }
}

/// A later version of this program has upgraded the database; the source of [`StoreError::Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database has schema version {found}, this program knows versions up to {known}; start the newer program, or restore a backup from before the upgrade"
)]
pub struct NewerSchema {
    /// The version of the database.
    pub found: i64,
    /// The latest version that this program supports.
    pub known: i64,
}

/// The database belongs to another program, and was not changed; the source of [`StoreError::Schema`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignSchema {
    /// The system that this program succeeds.
    #[error("this is a database of mito 0.6, which can't be imported yet")]
    Mito06,
    /// Any other program.
    #[error("the database is not empty: another program has created the table `{0}`")]
    Other(String),
}

/// A row or a value that this program can't have written; the source of [`StoreError::Unexpected`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Corrupt {
    /// A statement that must change one row changed another number of rows.
    #[error("a statement that must change one row changed {touched}: {sql}")]
    RowCount {
        /// The number of rows.
        touched: u64,
        /// The statement.
        sql: String,
    },
    /// A task without a row in any of the tables that hold its state.
    #[error("task {0} has no state")]
    NoPhase(i64),
    /// A JSON value that can't be parsed or serialized.
    #[error("a JSON value can't be converted")]
    Json(#[from] serde_json::Error),
    /// A JSON value that is missing.
    #[error("a JSON value is missing")]
    NoJson,
    /// A timeout outside its range.
    #[error("a stored timeout is invalid")]
    Timeout(#[from] InvalidTimeout),
    /// A UUID in text form that can't be parsed.
    #[error("a stored UUID can't be parsed")]
    Uuid(#[from] uuid::Error),
}

impl Corrupt {
    pub(crate) fn row_count(touched: u64, sql: &str) -> Self {
        Self::RowCount { touched, sql: sql.to_owned() }
    }
}

impl From<Corrupt> for StoreError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Unexpected(corrupt.into())
    }
}

/// Any error of a database driver.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// Whether a later retry may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::CommitUnknown(_))
    }
}
