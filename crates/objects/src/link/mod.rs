//! Links: addresses that carry their own permission.
//!
//! A backend either lets clients access its storage directly, or lets the coordinator pass the bytes on. Links
//! of the second kind are signed and verified here, for every backend.

mod signer;

use mitosis_domain::object::ObjectKey;
use url::Url;

pub(crate) use signer::LinkSigner;

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Directly to the storage.
    Direct(Url),
    /// The path and query below the coordinator's own address, starting with `/`. The coordinator prefixes the
    /// address under which the caller reached it, and serves the request itself.
    ViaCoordinator(String),
}

/// What a verified link allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAccess {
    /// The object that the link is for.
    pub key: ObjectKey,
    /// What the bearer may do with it.
    pub right: Right,
    /// To whom the link was given, as passed to
    /// [`ObjectStore::download_link`](crate::ObjectStore::download_link).
    pub holder: Option<String>,
}

/// What the bearer of a link may do with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `PUT` a body of exactly `length` bytes.
    Upload {
        /// The announced size; a body of another size must be refused.
        length: u64,
    },
    /// `PUT` a body of exactly `length` bytes, once, replacing the object.
    Replace {
        /// The announced size; a body of another size must be refused.
        length: u64,
        /// Distinguishes this link from others for the same object and time.
        nonce: i64,
    },
    /// `GET` or `HEAD`.
    Download,
}

/// Why a link gives no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is not a link, it was changed, or it has another signer.
    #[error("this link is not valid; ask for a new one and use it unchanged")]
    Invalid,
    /// The link has expired.
    #[error("this link has expired; ask for a new one")]
    Expired,
    /// A link for uploads was used for a download, or the reverse.
    #[error("this link is for {allowed} only")]
    WrongMethod {
        /// The method that the link is for.
        allowed: &'static str,
    },
}
