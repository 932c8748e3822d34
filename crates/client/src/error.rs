//! Errors of calls.

use std::time::Duration;

use mitosis_protocol::{ErrorBody, ErrorCode};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The coordinator refused the call. The text is its message.
    #[error("{}", body.msg)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body of the reply.
        body: Box<ErrorBody>,
    },
    /// The coordinator can't be reached, or the connection failed.
    #[error("can't reach the coordinator at {address}")]
    Unreachable {
        /// Scheme, host, port and path.
        address: String,
        /// The cause.
        source: Unreachable,
    },
    /// The coordinator does not answer on an open connection.
    #[error("the coordinator at {address} has not answered for {} s", after.as_secs())]
    Silent {
        /// Scheme, host and port.
        address: String,
        /// How long it has not answered.
        after: Duration,
    },
    /// The reply violates the contract.
    #[error("the coordinator at {address} sent something unexpected; it may be another kind of server")]
    Unexpected {
        /// Scheme, host, port and path.
        address: String,
        /// The cause.
        source: Unreachable,
    },
    /// Another server answered: a proxy in front of the coordinator, or another kind of server.
    #[error("{}", intercepted(*status, address))]
    Intercepted {
        /// Scheme, host, port and path.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// The address redirects to another one, which must not receive the token.
    #[error("{address} is not where the coordinator is: it redirects to {target}")]
    Redirected {
        /// Scheme, host, port and path.
        address: String,
        /// The target, without its query.
        target: String,
    },
    /// The coordinator does not support a feature. The request was not sent.
    #[error("the coordinator at {address} is mito 0.6, and {feature} needs 0.7")]
    TooOld {
        /// Scheme, host and port.
        address: String,
        /// The missing feature.
        feature: &'static str,
    },
    /// The address is invalid.
    #[error("`{shown}` is no coordinator's address: {why}")]
    Address {
        /// The address as given, without a password.
        shown: String,
        /// What is wrong with the address.
        why: &'static str,
    },
    /// The HTTP client can't be set up.
    #[error("HTTP can't be set up")]
    Setup(#[source] Unreachable),
}

/// An error of the HTTP library, without the address, which can be a secret.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unreachable(reqwest::Error);

impl From<reqwest::Error> for Unreachable {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

/// The message for a page of a proxy, from its status.
fn intercepted(status: u16, address: &str) -> String {
    match status {
        404 => format!("no coordinator is at {address}: something else answers with status 404"),
        413 => format!("a request of this size is not accepted at {address} (status 413)"),
        502..=504 => format!("the proxy at {address} can't reach the coordinator (status {status})"),
        _ => format!("something that is no coordinator answers at {address} (status {status})"),
    }
}

impl ClientError {
    /// Whether a retry may help: the coordinator can't be reached or has an internal error.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Unexpected { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Intercepted { status, .. } => matches!(status, 429 | 502..=504),
            Self::TooOld { .. } | Self::Redirected { .. } | Self::Address { .. } | Self::Setup(_) => false,
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
                // An old server sends only a status.
                (None, None) => match status {
                    401 => ErrorCode::InvalidToken.usual_hint(),
                    403 => ErrorCode::Forbidden.usual_hint(),
                    404 => ErrorCode::NotFound.usual_hint(),
                    429 => ErrorCode::TooManyRequests.usual_hint(),
                    500.. => "the log of the server has the cause",
                    _ => {
                        "the server gave no reason but this; it may be an older one, or another kind of server"
                    }
                },
            }),
            Self::Unreachable { .. } => Some("check the address, and that the coordinator runs"),
            Self::Silent { .. } => Some("the log of the coordinator, or of a proxy before it, has the cause"),
            Self::Unexpected { .. } => Some("check the address, and the path in it"),
            Self::Intercepted { status, .. } => Some(match status {
                413 => {
                    "raise the limit of the proxy in front of the coordinator (nginx: client_max_body_size), or send \
                     less at once"
                }
                429 => ErrorCode::TooManyRequests.usual_hint(),
                502..=504 => {
                    "try again later; if it stays, check that the coordinator runs and that the proxy in front of \
                     it knows its address"
                }
                _ => {
                    "check the address, and the path in it where a proxy serves the coordinator below a path"
                }
            }),
            Self::TooOld { .. } => {
                Some("nothing was sent; upgrade the coordinator, or use what 0.6 has under `mito client`")
            }
            Self::Redirected { .. } => Some(
                "if you trust that address, use it instead; redirects are followed to TLS on the same host only",
            ),
            Self::Address { .. } => {
                Some("give it with -c, with MITO_COORDINATOR_ADDR, or as coordinator_addr in a config file")
            }
            Self::Setup(_) => Some("check the certificates of this machine, and the proxy variables"),
        }
    }
}
