//! Errors of calls.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

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
    #[error("{}", unreachable("coordinator", address, source))]
    Unreachable {
        /// Scheme, host, port and path.
        address: String,
        /// The cause.
        source: TransportError,
    },
    /// The coordinator does not answer on an open connection.
    #[error("no answer from the coordinator at {address} for {} s", after.as_secs())]
    Silent {
        /// Scheme, host and port.
        address: String,
        /// How long it has not answered.
        after: Duration,
    },
    /// The reply violates the contract.
    #[error("unexpected reply from {address}: it may not be a coordinator")]
    Unexpected {
        /// Scheme, host, port and path.
        address: String,
        /// The cause.
        source: TransportError,
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
    #[error("{address} redirects to {target}")]
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
    /// A native coordinator does not support a feature. The request was not sent.
    #[error("the coordinator at {address} does not know {feature}: it is older than this program")]
    Outdated {
        /// Scheme, host and port.
        address: String,
        /// The missing feature.
        feature: &'static str,
    },
    /// The address is invalid.
    #[error("invalid coordinator address `{shown}`: {why}")]
    Address {
        /// The address as given, without a password.
        shown: String,
        /// What is wrong with the address.
        why: &'static str,
    },
    /// The HTTP client can't be set up.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] TransportError),
}

/// An error of the HTTP library. The text is its root cause, without the address, which can be a secret.
#[derive(Debug)]
pub struct TransportError(reqwest::Error);

impl TransportError {
    /// Whether no connection was established.
    pub fn is_connect(&self) -> bool {
        self.0.is_connect()
    }
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl Error for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut root: &(dyn Error + 'static) = &self.0;
        while let Some(cause) = root.source() {
            root = cause;
        }
        let kind = root.downcast_ref::<io::Error>().map(io::Error::kind);
        match kind {
            _ if self.0.is_timeout() => f.write_str("timed out"),
            Some(io::ErrorKind::ConnectionRefused) => f.write_str("connection refused"),
            Some(io::ErrorKind::ConnectionReset) => f.write_str("connection reset"),
            Some(io::ErrorKind::UnexpectedEof) => f.write_str("connection closed"),
            _ => f.write_str(&plain(&root.to_string())),
        }
    }
}

/// The text of a root cause without the marks of the library.
fn plain(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => format!("cannot resolve the host name ({reason})"),
        None => text.to_owned(),
    }
}

/// The message for a failed connection to a server.
pub(crate) fn unreachable(server: &str, address: &str, error: &TransportError) -> String {
    match error.is_connect() {
        true => format!("cannot connect to the {server} at {address}: {error}"),
        false => format!("the connection to the {server} at {address} failed: {error}"),
    }
}

/// The message for a page of a proxy, from its status.
fn intercepted(status: u16, address: &str) -> String {
    match status {
        404 => format!("no coordinator at {address}: another server answers with status 404"),
        413 => format!("the proxy at {address} refuses a request of this size (status 413)"),
        502..=504 => format!("the proxy at {address} cannot reach the coordinator (status {status})"),
        _ => format!("no coordinator at {address}: another server answers with status {status}"),
    }
}

impl ClientError {
    /// Whether a retry may help: the coordinator can't be reached or has an internal error.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Unexpected { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Intercepted { status, .. } => matches!(status, 429 | 502..=504),
            Self::TooOld { .. }
            | Self::Outdated { .. }
            | Self::Redirected { .. }
            | Self::Address { .. }
            | Self::Setup(_) => false,
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
                    500.. => "see the log of the server",
                    _ => "the server gave no other reason; check that the address is that of a coordinator",
                },
            }),
            Self::Unreachable { .. } => {
                Some("check that the coordinator is running and that the address is right")
            }
            Self::Silent { .. } => Some("see the log of the coordinator, or of the proxy in front of it"),
            Self::Unexpected { .. } => Some("check the address and its path"),
            Self::Intercepted { status, .. } => Some(match status {
                413 => {
                    "raise the size limit of the proxy (nginx: client_max_body_size), or send less at once"
                }
                429 => ErrorCode::TooManyRequests.usual_hint(),
                502..=504 => {
                    "try again later; if it persists, check that the coordinator is running and that the proxy has \
                     its address"
                }
                _ => "check the address; behind a proxy, it may need a path",
            }),
            Self::TooOld { .. } => Some(
                "nothing was sent; upgrade the coordinator, or use the commands of 0.6 under `mito client`",
            ),
            Self::Outdated { .. } => Some("nothing was sent; upgrade the coordinator"),
            Self::Redirected { .. } => Some(
                "if you trust the target, use its address; redirects are followed only to HTTPS on the same host",
            ),
            Self::Address { .. } => {
                Some("set it with -c, with MITO_COORDINATOR_ADDR, or as coordinator_addr in a config file")
            }
            Self::Setup(_) => Some("check the CA certificates and the proxy variables of this machine"),
        }
    }
}
