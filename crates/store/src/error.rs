//! What can go wrong with a database, as opposed to with a request.

/// The database did not do its work. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached or does not answer; trying again may help.
    #[error("the database can't be reached")]
    Unavailable(#[source] BoxError),
    /// The disk that it is on is full; trying again helps once somebody has made room.
    #[error("the disk of the database is full")]
    Full(#[source] BoxError),
    /// The connection broke while committing: whether the change stands is not known. Operations are
    /// safe to repeat.
    #[error("the connection to the database broke during a commit")]
    CommitUnknown(#[source] BoxError),
    /// Another process has the embedded database open.
    #[error("the database {path} is in use by another process{}", owner.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The database file.
        path: String,
        /// The process that has it open, if it left its number.
        owner: Option<u32>,
    },
    /// The schema is newer than this program, or a migration failed.
    #[error("the database schema can't be brought up to date")]
    Schema(#[source] BoxError),
    /// The address or path of the database makes no sense.
    #[error("`{address}` is no usable database address")]
    Address {
        /// As configured, without its password.
        address: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The database is there, and not set up for this program.
    #[error("the database is not set up for mito")]
    Setup(#[source] SetupError),
    /// A text holds a NUL character, which PostgreSQL can neither keep nor find, or another one that the
    /// encoding of the database does not have.
    #[error("a text holds a character that the database can't store")]
    Nul(#[source] BoxError),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A row that this program can't have written, or a statement that failed: a defect.
    #[error("the database holds or did something unexpected")]
    Unexpected(#[source] BoxError),
}

/// What an administrator of the database has to change; the source of [`StoreError::Setup`].
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The role of `db_url` may not do what it needs to do.
    #[error("the role that db_url names lacks a right")]
    MissingRight(#[source] BoxError),
    /// Nothing can be written there.
    #[error("the database is read-only for the role that db_url names")]
    ReadOnly(#[source] BoxError),
    /// Texts can't all be kept.
    #[error("the encoding of the database is {found}, which can't keep every text")]
    Encoding {
        /// As PostgreSQL names it.
        found: String,
    },
    /// A pooler deals out the server's processes by transaction or statement.
    #[error("a connection pooler in transaction or statement mode is between mito and the database")]
    SharedSessions,
    /// No encrypted connection came about.
    #[error("TLS to {address} failed")]
    Tls {
        /// Without the password.
        address: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl SetupError {
    /// What to change.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::MissingRight(_) => {
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

/// The database was written by a later version of this program; the source of [`StoreError::Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database has schema version {found}, this program knows versions up to {known}; start the newer program, or restore a backup from before the upgrade"
)]
pub struct NewerSchema {
    /// Version of the database.
    pub found: i64,
    /// The latest version this program can bring a database to.
    pub known: i64,
}

/// The database belongs to another program, and was left as it is; the source of [`StoreError::Schema`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignSchema {
    /// The system that this program succeeds.
    #[error("this is a database of mito 0.6, which can't be imported yet")]
    Mito06,
    /// Anything else.
    #[error("the database is not empty: another program has made the table `{0}`")]
    Other(String),
}

/// A row or a value that this program can't have written; the source of [`StoreError::Unexpected`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Corrupt {
    /// A statement that must touch one row touched another number.
    #[error("a statement that must touch one row touched {touched}: {sql}")]
    RowCount {
        /// How many.
        touched: u64,
        /// Which statement.
        sql: String,
    },
    /// A task without a row in any of the tables that hold its state.
    #[error("task {0} is in no state")]
    NoPhase(i64),
    /// A JSON value that can't be read or written.
    #[error("a JSON value can't be converted")]
    Json(#[from] serde_json::Error),
    /// A JSON value that is missing.
    #[error("a JSON value is missing")]
    NoJson,
    /// A UUID in text form that can't be read.
    #[error("a stored UUID can't be read")]
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

/// Whatever a driver reports.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// Whether trying again later may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::CommitUnknown(_))
    }
}
