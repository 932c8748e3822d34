//! Why a call brought nothing.

use mitosis_protocol::{ErrorBody, ErrorCode};

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The coordinator refused. The text is its own sentence.
    #[error("{}", body.msg)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: Box<ErrorBody>,
    },
    /// Nobody answered, or the connection broke.
    #[error("can't reach the coordinator at {address}")]
    Unreachable {
        /// Scheme, host and port.
        address: String,
        /// What went wrong.
        source: Unreachable,
    },
    /// The answer was not what the contract promises.
    #[error("the coordinator at {address} sent something unexpected; it may be another kind of server")]
    Unexpected {
        /// Scheme, host and port.
        address: String,
        /// What went wrong.
        source: Unreachable,
    },
    /// The address makes no sense.
    #[error("`{0}` is no coordinator's address; write it like http://127.0.0.1:5000")]
    Address(String),
    /// The machine can't make HTTP requests at all.
    #[error("HTTP can't be set up")]
    Setup(#[source] Unreachable),
}

/// What the HTTP library reports, without the address, which can be a secret.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unreachable(reqwest::Error);

impl From<reqwest::Error> for Unreachable {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl ClientError {
    /// Whether trying again later may help: nobody answered, or the server has a fault of its own.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unexpected { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Address(_) | Self::Setup(_) => false,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The stable code of a refusal; none from an old server.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { body, .. } => body.code,
            _ => None,
        }
    }

    /// What the caller can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { body, status } => Some(match (&body.hint, body.code) {
                (Some(hint), _) => hint,
                (None, Some(code)) => code.usual_hint(),
                // An old server says no more than its status.
                (None, None) => match status {
                    401 => ErrorCode::InvalidToken.usual_hint(),
                    403 => ErrorCode::Forbidden.usual_hint(),
                    404 => ErrorCode::NotFound.usual_hint(),
                    429 => ErrorCode::TooManyRequests.usual_hint(),
                    500.. => "the log of the server has the cause",
                    _ => "the server gave no reason but this; it may be an older one, or none of ours",
                },
            }),
            Self::Unreachable { .. } => Some("check the address, and that the coordinator runs"),
            Self::Unexpected { .. } => Some("check the address; a path in it is ignored"),
            Self::Address(_) => {
                Some("give it with -c, with MITO_COORDINATOR_ADDR, or as coordinator_addr in a config file")
            }
            Self::Setup(_) => Some("check the certificates of this machine, and the proxy variables"),
        }
    }
}
