//! One request to a receiver.
//!
//! A request goes to the host of its URL and nowhere else: redirects are not followed, proxies of the environment are not
//! used, and the addresses of the host are checked when the connection is made. The body of a reply is not read.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use mitosis_domain::notify::{AllowedReceivers, Receiver};
use mitosis_protocol::Timestamp;
use mitosis_protocol::notify::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::key::SigningKeys;

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of a recorded error.
const MAX_ERROR: usize = 300;

/// A request.
pub(super) struct Message {
    /// The same in each attempt.
    pub(super) id: String,
    pub(super) body: String,
}

/// The answer of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A status from 200 to 299.
    Accepted,
    Refused(StatusCode),
}

/// Why a request was not delivered. The text does not contain the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("the receiver is not in `notify_allow` of the coordinator")]
    NotAllowed,
    #[error("the receiver answered with a redirect ({0}), which is not followed")]
    Redirect(StatusCode),
    #[error("the receiver answered with status {0}")]
    Status(StatusCode),
    #[error("the receiver did not answer within {} seconds", TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Failed(String),
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Sender {
    /// The error is why it can't be used.
    http: Result<reqwest::Client, String>,
}

impl Sender {
    pub(super) fn new(allowed: &AllowedReceivers) -> Self {
        let client = reqwest::Client::builder()
            .user_agent(concat!("mito/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver(Arc::new(allowed.clone()))))
            .build();
        Self { http: client.map_err(|error| root_cause(&error)) }
    }

    /// Sends one request.
    pub(super) async fn send(
        &self,
        receiver: &Receiver,
        message: &Message,
        keys: &SigningKeys,
        now: Timestamp,
    ) -> Result<Answer, Undelivered> {
        let http = self.http.as_ref().map_err(|error| Undelivered::Failed(error.clone()))?;
        let seconds = now.unix_seconds();
        let request = http
            .post(receiver.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, &message.id)
            .header(TIMESTAMP_HEADER, seconds)
            .header(SIGNATURE_HEADER, keys.sign(&message.id, seconds, &message.body))
            .body(message.body.clone());
        match request.send().await {
            Ok(response) => answer(response.status()),
            Err(error) if error.is_timeout() => Err(Undelivered::Timeout),
            Err(error) => Err(Undelivered::Failed(root_cause(&error))),
        }
    }
}

fn answer(status: StatusCode) -> Result<Answer, Undelivered> {
    match status {
        status if status.is_success() => Ok(Answer::Accepted),
        status if status.is_redirection() => Err(Undelivered::Redirect(status)),
        status => Ok(Answer::Refused(status)),
    }
}

/// The innermost cause of an error, which has no URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = match std::ptr::addr_eq(cause, error) {
        true => "the request can't be sent".to_owned(),
        false => cause.to_string(),
    };
    text.chars().take(MAX_ERROR).collect()
}

/// Resolves the names of hosts to addresses that the administrator allows for them.
#[derive(Debug)]
struct CheckedResolver(Arc<AllowedReceivers>);

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the host has no address that `notify_allow` of the coordinator permits")]
struct NoAddress;

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> =
                found.filter(|address| allowed.allows_address(&host, address.ip())).collect();
            match permitted.is_empty() {
                true => Err(NoAddress.into()),
                false => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
