//! Errors of an object store.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mitosis_domain::object::ObjectKey;

/// The refusal of an S3 service.
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

/// An operation on the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileOperation {
    /// Create a file or folder.
    Create,
    /// List a folder.
    List,
    /// Lock a file.
    Lock,
    /// Open a file.
    Open,
    /// Read a file.
    Read,
    /// Read the metadata of a file.
    ReadMetadata,
    /// Remove a file or folder.
    Remove,
    /// Rename a file to its final name.
    Rename,
    /// Flush a file or folder to the disk.
    Sync,
    /// Write to a file.
    Write,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Lock => "lock",
            Self::Open => "open",
            Self::Read => "read",
            Self::ReadMetadata => "read the metadata of",
            Self::Remove => "remove",
            Self::Rename => "move a file to",
            Self::Sync => "flush",
            Self::Write => "write",
        })
    }
}

/// An error of an object store. [`Self::hint`] suggests a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The object does not exist.
    #[error("there is no object `{0}`")]
    NotFound(ObjectKey),
    /// The range contains no byte of the object.
    #[error("the range lies outside the object, which has {total} bytes")]
    RangeOutside {
        /// The size of the object.
        total: u64,
    },
    /// The body ended early.
    #[error("the body ended after {received} of {announced} bytes")]
    BodyTooShort {
        /// The announced length.
        announced: u64,
        /// How many bytes were received.
        received: u64,
    },
    /// The body is longer than announced.
    #[error("the body is longer than the announced {announced} bytes")]
    BodyTooLong {
        /// The announced length.
        announced: u64,
    },
    /// The body failed while it was read.
    #[error("the body broke off")]
    BodyFailed(#[source] io::Error),
    /// An object of this size can't be stored.
    #[error("an object of {length} bytes is larger than the store takes")]
    TooLarge {
        /// The requested size.
        length: u64,
    },
    /// The key can't be written as an address without changing its meaning.
    #[error("`{0}` can't be the name of a stored object")]
    UnusableKey(ObjectKey),
    /// A file operation failed.
    #[error("failed to {operation} `{path}`")]
    Directory {
        /// The operation that failed.
        operation: FileOperation,
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file that signs links can be read by others, or holds something else.
    #[error("the secret in `{path}` can't be trusted: {why}")]
    UntrustedSecret {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        why: &'static str,
    },
    /// The address of the object store, or the name of a bucket, is invalid.
    #[error("`{endpoint}` can't be the address of an object store: {why}")]
    BadEndpoint {
        /// The address as it was configured, without user and password.
        endpoint: String,
        /// What is wrong with the address.
        why: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("could not set up the HTTP client for the object store")]
    HttpClient(#[source] reqwest::Error),
    /// The service did not answer in time, or the connection failed.
    #[error("could not reach the object store at {endpoint}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The access key is unknown, or the secret key does not match it.
    #[error("the object store at {endpoint} refuses the credentials: {reply}")]
    CredentialsRefused {
        /// Scheme, host and port.
        endpoint: String,
        /// The reply of the service.
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
        /// The reply of the service.
        reply: Box<Reply>,
    },
    /// The credentials are valid but lack the permission.
    #[error("the object store at {endpoint} does not let these credentials use bucket `{bucket}`: {reply}")]
    NoPermission {
        /// Scheme, host and port.
        endpoint: String,
        /// The name of the bucket.
        bucket: String,
        /// The reply of the service.
        reply: Box<Reply>,
    },
    /// The bucket does not exist any more.
    #[error("there is no bucket `{bucket}` at {endpoint}")]
    NoBucket {
        /// Scheme, host and port.
        endpoint: String,
        /// The name of the bucket.
        bucket: String,
    },
    /// The clocks of the two machines differ too much for a signature to be valid.
    #[error("the clocks of this machine and of the object store at {endpoint} differ too much: {reply}")]
    ClockSkewed {
        /// Scheme, host and port.
        endpoint: String,
        /// The reply of the service.
        reply: Box<Reply>,
    },
    /// The service refused for another reason, or failed.
    #[error("the object store at {endpoint} answered: {reply}")]
    Refused {
        /// Scheme, host and port.
        endpoint: String,
        /// The reply of the service.
        reply: Box<Reply>,
    },
    /// The service answered with success and an invalid body.
    #[error("the object store at {endpoint} sent {what}; it may not be an S3 service")]
    BadReply {
        /// Scheme, host and port.
        endpoint: String,
        /// What is wrong with the reply.
        what: &'static str,
    },
    /// The process is stopping and starts no new operations.
    #[error("the object store is shutting down")]
    ShuttingDown,
}

impl ObjectError {
    /// What the operator can do about it, if that is known.
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

    /// The kind of error, as a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::RangeOutside { .. } => "range",
            Self::BodyTooShort { .. } | Self::BodyTooLong { .. } | Self::BodyFailed(_) => "body",
            Self::TooLarge { .. } => "too_large",
            Self::UnusableKey(_) => "key",
            Self::Directory { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "full",
                _ => "file",
            },
            Self::Unreachable { .. } => "unreachable",
            Self::CredentialsRefused { .. } | Self::NoPermission { .. } | Self::ClockSkewed { .. } => {
                "denied"
            }
            Self::UntrustedSecret { .. }
            | Self::BadEndpoint { .. }
            | Self::HttpClient(_)
            | Self::WrongRegion { .. }
            | Self::NoBucket { .. } => "setup",
            Self::Refused { .. } | Self::BadReply { .. } => "reply",
            Self::ShuttingDown => "stopping",
        }
    }

    /// Wraps an error of the file system for `path`.
    pub(crate) fn directory(
        operation: FileOperation,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Directory { operation, path, source }
    }
}
