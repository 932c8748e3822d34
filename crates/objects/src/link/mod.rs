//! Links: addresses that carry their own permission.
//!
//! A backend either lets clients reach its storage directly, or lets the coordinator pass the bytes
//! on. The second kind is signed here and verified here, whichever backend stores the bytes.

mod signer;

use mitosis_domain::object::ObjectKey;
use url::Url;

pub(crate) use signer::LinkSigner;

/// Where the bearer of a link turns to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Straight to the storage.
    Direct(Url),
    /// Path and query below the coordinator's own address, starting with `/`. The coordinator puts
    /// the address in front under which the caller reached it, and serves the request itself.
    ViaCoordinator(String),
}

/// What a verified link allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAccess {
    /// On which object.
    pub key: ObjectKey,
    /// To do what.
    pub right: Right,
    /// Whom it was given to, in the words of [`ObjectStore::download_link`](crate::ObjectStore::download_link).
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
    /// `PUT` a body of exactly `length` bytes, once, over what is there.
    Replace {
        /// The announced size; a body of another size must be refused.
        length: u64,
        /// Tells this link from others for the same object and time.
        nonce: i64,
    },
    /// `GET` or `HEAD`.
    Download,
}

/// Why a link gives no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is not a link, or it was changed, or somebody else signed it.
    #[error("this link is not valid; ask for a new one and use it unchanged")]
    Invalid,
    /// It was valid once.
    #[error("this link has expired; ask for a new one")]
    Expired,
    /// A link for uploads was used for a download, or the other way round.
    #[error("this link is for {allowed} only")]
    WrongMethod {
        /// The method it is for.
        allowed: &'static str,
    },
}
