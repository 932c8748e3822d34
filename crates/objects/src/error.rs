//! Why an object store did not do what it was asked.

use std::io;
use std::path::PathBuf;

use mitosis_domain::object::ObjectKey;

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
                _ => None,
            },
            Self::UntrustedSecret { .. } => {
                Some("remove the file and start again; a new secret is made, and links handed out so far end")
            }
            _ => None,
        }
    }

    /// Wraps what the file system said about `path`.
    pub(crate) fn directory(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Directory { doing, path, source }
    }
}
