//! Why an object store did not do what it was asked.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mitosis_domain::object::ObjectKey;

/// The refusal of an S3 service in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// The code in the body; empty when there was none.
    pub code: String,
    /// The sentence in the body; empty when there was none.
    pub message: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message } = self;
        match (code.as_str(), message.as_str()) {
            ("", _) => write!(f, "status {status}"),
            (code, "") => write!(f, "{code} (status {status})"),
            (code, message) => write!(f, "{message} ({code}, status {status})"),
        }
    }
}

/// Why a store refused or failed. [`Self::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no object `{0}`")]
    NotFound(ObjectKey),
    /// The range holds no byte of the object.
    #[error("the range lies outside the object, which has {total} bytes")]
    RangeOutside {
        /// The size of the object.
        total: u64,
    },
    /// The body ended early.
    #[error("the body ended after {received} of {announced} bytes")]
    BodyTooShort {
        /// How long it was said to be.
        announced: u64,
        /// How much of it came.
        received: u64,
    },
    /// The body went on after its announced end.
    #[error("the body is longer than the announced {announced} bytes")]
    BodyTooLong {
        /// How long it was said to be.
        announced: u64,
    },
    /// The body broke off.
    #[error("the body broke off")]
    BodyFailed(#[source] io::Error),
    /// An object of this size can't be stored here.
    #[error("an object of {length} bytes is larger than the store takes")]
    TooLarge {
        /// The size that was asked for.
        length: u64,
    },
    /// The key can't be written as an address without changing its meaning.
    #[error("`{0}` can't be the name of a stored object")]
    UnusableKey(ObjectKey),
    /// The file system refused.
    #[error("could not {doing} `{path}`")]
    Directory {
        /// What was tried, in the infinitive.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that signs links can be read by others, or holds something else.
    #[error("the secret in `{path}` can't be trusted: {why}")]
    UntrustedSecret {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address of the object store, or the name of a bucket, can't be used.
    #[error("`{endpoint}` can't be the address of an object store: {why}")]
    BadEndpoint {
        /// The address as it was configured, without user and password.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("could not set up the HTTP client for the object store")]
    HttpClient(#[source] reqwest::Error),
    /// Nobody answered, or not in time, or the connection broke.
    #[error("could not reach the object store at {endpoint}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The access key is not known, or the secret key does not belong to it.
    #[error("the object store at {endpoint} refuses the credentials: {reply}")]
    CredentialsRefused {
        /// Scheme, host and port.
        endpoint: String,
        /// What it said.
        reply: Box<Reply>,
    },
    /// Requests are signed for another region than the one the store is in.
    #[error("the object store at {endpoint} is not in the region `{configured}`: {reply}")]
    WrongRegion {
        /// Scheme, host and port.
        endpoint: String,
        /// The region that requests are signed for.
        configured: String,
        /// The region that the store names, if it does.
        expected: Option<String>,
        /// What it said.
        reply: Box<Reply>,
    },
    /// The credentials are good, but not for this.
    #[error("the object store at {endpoint} does not let these credentials use bucket `{bucket}`: {reply}")]
    NoPermission {
        /// Scheme, host and port.
        endpoint: String,
        /// Which bucket.
        bucket: String,
        /// What it said.
        reply: Box<Reply>,
    },
    /// The bucket is gone.
    #[error("there is no bucket `{bucket}` at {endpoint}")]
    NoBucket {
        /// Scheme, host and port.
        endpoint: String,
        /// Which bucket.
        bucket: String,
    },
    /// The clocks of the two machines differ too much for a signature to be valid.
    #[error("the clocks of this machine and of the object store at {endpoint} differ too much: {reply}")]
    ClockSkewed {
        /// Scheme, host and port.
        endpoint: String,
        /// What it said.
        reply: Box<Reply>,
    },
    /// The store refused for a reason that is not listed above, or failed.
    #[error("the object store at {endpoint} answered: {reply}")]
    Refused {
        /// Scheme, host and port.
        endpoint: String,
        /// What it said.
        reply: Box<Reply>,
    },
    /// The store answered with success and something that can't be understood.
    #[error("the object store at {endpoint} sent {what}; it may not be an S3 service")]
    BadReply {
        /// Scheme, host and port.
        endpoint: String,
        /// What was wrong with it.
        what: &'static str,
    },
    /// The process is ending, and begins nothing new.
    #[error("the object store is shutting down")]
    ShuttingDown,
}

impl ObjectError {
    /// What the operator can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Directory { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("give the user that runs the coordinator write access to the directory in s3_url")
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("free some space on the disk of the directory in s3_url")
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some("the disk is mounted read-only; choose another s3_url")
                }
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    Some("check the path in s3_url: a part of it is missing, or is no folder")
                }
                _ => None,
            },
            Self::UntrustedSecret { .. } => {
                Some("remove the file and start again; a new secret is made, and links handed out so far end")
            }
            Self::BadEndpoint { .. } => Some("check s3_url; it looks like `http://127.0.0.1:9000`"),
            Self::Unreachable { .. } => Some(
                "check that s3_url is right, that the object store runs, and that this machine may connect to it",
            ),
            Self::CredentialsRefused { .. } => Some("check s3_access_key and s3_secret_key"),
            Self::WrongRegion { .. } => Some("set s3_region to the region of the object store"),
            Self::NoPermission { .. } => Some(
                "create the bucket by hand if it is missing, and allow the access key to list it and to get, \
                 put and delete its objects",
            ),
            Self::NoBucket { .. } => {
                Some("start the coordinator again to create the bucket, or create it by hand")
            }
            Self::ClockSkewed { .. } => Some("set the clocks of both machines, for example with NTP"),
            _ => None,
        }
    }

    /// Wraps what the file system said about `path`.
    pub(crate) fn directory(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Directory { doing, path, source }
    }
}
