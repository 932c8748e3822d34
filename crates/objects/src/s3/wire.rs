//! Sends signed requests to the service, with retries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp as SigningTime;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response};
use rusty_s3::{Bucket, Credentials, S3Action};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::config::{S3Config, is_loopback, origin};
use super::service_error::{RequestContext, ServiceError};
use crate::{ByteStream, ObjectError};

/// How often a request is sent before its error is final.
const MAX_ATTEMPTS: u32 = 4;
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// The validity of the signature of a request of this client.
const SIGNATURE_VALIDITY: Duration = Duration::from_mins(15);

/// The slowest accepted upload, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

/// The HTTP client, the buckets and the credentials.
#[derive(Debug)]
pub(super) struct Wire {
    http: Client,
    credentials: Credentials,
    endpoint: String,
    region: String,
    artifacts: Bucket,
    attachments: Bucket,
    reply_timeout: Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered with an error.
    Refused(ServiceError),
    /// The service did not answer.
    Silent(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    pub(super) fn is(&self, question: fn(&ServiceError) -> bool) -> bool {
        matches!(self, Self::Refused(service_error) if question(service_error))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Refused(service_error) => service_error.is_transient(),
            Self::Silent(_) => true,
        }
    }
}

impl Wire {
    pub(super) fn new(
        config: &S3Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ObjectError> {
        // A redirect would need a new signature; it means a wrong region and is reported as such.
        let mut http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.connect_timeout);
        if is_loopback(&config.endpoint) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(ObjectError::HttpClient)?,
            credentials: Credentials::new(&config.access_key, config.secret_key.expose_secret()),
            endpoint: origin(&config.endpoint),
            region: config.region.clone(),
            artifacts: config.bucket(&config.endpoint, &config.artifacts_bucket)?,
            attachments: config.bucket(&config.endpoint, &config.attachments_bucket)?,
            reply_timeout: config.reply_timeout,
            clock,
            entropy,
        })
    }

    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) const fn bucket(&self, class: ObjectClass) -> &Bucket {
        match class {
            ObjectClass::Artifacts => &self.artifacts,
            ObjectClass::Attachments => &self.attachments,
        }
    }

    /// Sends a request without a body.
    pub(super) async fn call<'a>(&self, action: &(impl S3Action<'a> + Sync)) -> Result<Response, Failure> {
        self.send(action, HeaderMap::new(), None).await
    }

    /// Sends a request without a body once, for checks that must not wait.
    pub(super) async fn ask<'a>(&self, action: &(impl S3Action<'a> + Sync)) -> Result<Response, Failure> {
        self.attempt(action, HeaderMap::new(), None).await
    }

    /// Sends a request, and retries while the failure may be transient. All requests of this client are
    /// idempotent.
    pub(super) async fn send<'a, A: S3Action<'a> + Sync>(
        &self,
        action: &A,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let mut backoff = Backoff::new(MIN_BACKOFF, MAX_BACKOFF);
        for _ in 1..MAX_ATTEMPTS {
            match self.attempt(action, headers.clone(), body.clone()).await {
                Err(failure) if failure.is_transient() => {
                    tracing::debug!(?failure, "asking the object store again");
                    tokio::time::sleep(backoff.next_wait(self.chance())).await;
                }
                settled => return settled,
            }
        }
        self.attempt(action, headers, body).await
    }

    async fn attempt<'a, A: S3Action<'a> + Sync>(
        &self,
        action: &A,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let url = action.sign_with_time(SIGNATURE_VALIDITY, &signing_time(self.clock.now()));
        let mut request = self.http.request(method(A::METHOD), url).headers(headers);
        let mut limit = self.reply_timeout;
        if let Some(body) = body {
            limit += Duration::from_secs(body.len() as u64 / SLOWEST_UPLOAD);
            // An empty body would be sent without a length, which services refuse.
            request = request.header(CONTENT_LENGTH, HeaderValue::from(body.len())).body(body);
        }
        let response = timeout(limit, request.send()).await.map_err(silent)?.map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let region = response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        let region = region.map(str::to_owned);
        let body = self.text(response).await?;
        Err(Failure::Refused(ServiceError::read(status, region.as_deref(), &body)))
    }

    /// Reads the body of a small reply.
    pub(super) async fn text(&self, response: Response) -> Result<String, Failure> {
        timeout(self.reply_timeout, response.text()).await.map_err(silent)?.map_err(broken)
    }

    /// Streams the body of a large reply. The stream fails when no more bytes arrive.
    pub(super) fn stream(&self, response: Response) -> ByteStream {
        let limit = self.reply_timeout;
        let body = response.bytes_stream().boxed();
        stream::try_unfold(body, move |mut body| async move {
            let next = timeout(limit, body.next()).await.map_err(std::io::Error::from)?;
            let chunk = next.transpose().map_err(|error| std::io::Error::other(error.without_url()))?;
            Ok(chunk.map(|chunk| (chunk, body)))
        })
        .boxed()
    }

    /// Maps a failure that concerns a bucket to an error.
    pub(super) fn explain(&self, class: ObjectClass) -> impl FnOnce(Failure) -> ObjectError {
        move |failure| match failure {
            Failure::Refused(service_error) => {
                let (endpoint, region) = (&self.endpoint, &self.region);
                service_error.into_error(RequestContext {
                    endpoint,
                    bucket: self.bucket(class).name(),
                    region,
                })
            }
            Failure::Silent(source) => ObjectError::Unreachable { endpoint: self.endpoint.clone(), source },
        }
    }

    /// Maps a failure that concerns an object to an error.
    pub(super) fn explain_object(&self, key: &ObjectKey) -> impl FnOnce(Failure) -> ObjectError {
        move |failure| {
            if failure.is(ServiceError::is_absence) {
                ObjectError::NotFound(key.clone())
            } else {
                self.explain(key.class())(failure)
            }
        }
    }

    /// The error for a successful reply with an invalid body.
    pub(super) fn bad_reply(&self, what: &'static str) -> ObjectError {
        ObjectError::BadReply { endpoint: self.endpoint.clone(), what }
    }

    pub(super) fn chance(&self) -> u32 {
        self.entropy.fraction()
    }
}

/// Converts a timestamp to the type of the signing library.
pub(super) fn signing_time(now: Timestamp) -> SigningTime {
    SigningTime::from_microsecond(now.unix_micros()).unwrap_or(SigningTime::MAX)
}

fn silent(elapsed: tokio::time::error::Elapsed) -> Failure {
    Failure::Silent(elapsed.into())
}

/// Removes the address from an error, because it contains a signature.
fn broken(error: reqwest::Error) -> Failure {
    Failure::Silent(error.without_url().into())
}

const fn method(method: rusty_s3::Method) -> Method {
    match method {
        rusty_s3::Method::Head => Method::HEAD,
        rusty_s3::Method::Get => Method::GET,
        rusty_s3::Method::Post => Method::POST,
        rusty_s3::Method::Put => Method::PUT,
        rusty_s3::Method::Delete => Method::DELETE,
    }
}
