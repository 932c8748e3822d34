//! One signed request to the service, and the patience to repeat it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp as SigningTime;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_protocol::Timestamp;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response};
use rusty_s3::{Bucket, Credentials, S3Action};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::config::{S3Config, is_loopback, origin};
use super::fault::{Fault, Scene};
use crate::{ByteStream, ObjectError};

/// How often a request is sent before its failure is believed.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long the signature of one of our own requests is good for.
const SIGNATURE_VALIDITY: Duration = Duration::from_mins(15);

/// The slowest upload, in bytes a second, that is waited for.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

/// Everything that is needed to talk to the service.
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

/// Why there is no good answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is a bad one.
    Refused(Fault),
    /// There is none.
    Silent(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    pub(super) fn is(&self, question: fn(&Fault) -> bool) -> bool {
        matches!(self, Self::Refused(fault) if question(fault))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Refused(fault) => fault.is_transient(),
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

    pub(super) const fn bucket(&self, shelf: Shelf) -> &Bucket {
        match shelf {
            Shelf::Artifacts => &self.artifacts,
            Shelf::Attachments => &self.attachments,
        }
    }

    /// Sends a request without a body.
    pub(super) async fn call<'a>(&self, action: &(impl S3Action<'a> + Sync)) -> Result<Response, Failure> {
        self.send(action, HeaderMap::new(), None).await
    }

    /// Sends a request without a body, once: for those who would rather know than wait.
    pub(super) async fn ask<'a>(&self, action: &(impl S3Action<'a> + Sync)) -> Result<Response, Failure> {
        self.attempt(action, HeaderMap::new(), None).await
    }

    /// Sends a request, again and again while the failure may pass. Every request that is made here
    /// has the same effect once or several times.
    pub(super) async fn send<'a, A: S3Action<'a> + Sync>(
        &self,
        action: &A,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        for _ in 1..ATTEMPTS {
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
        let mut patience = self.reply_timeout;
        if let Some(body) = body {
            patience += Duration::from_secs(body.len() as u64 / SLOWEST_UPLOAD);
            // An empty body would go without a length, which services refuse.
            request = request.header(CONTENT_LENGTH, HeaderValue::from(body.len())).body(body);
        }
        let response = timeout(patience, request.send()).await.map_err(silent)?.map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let region = response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        let region = region.map(str::to_owned);
        let body = self.text(response).await?;
        Err(Failure::Refused(Fault::read(status, region.as_deref(), &body)))
    }

    /// The body of an answer that is small by nature.
    pub(super) async fn text(&self, response: Response) -> Result<String, Failure> {
        timeout(self.reply_timeout, response.text()).await.map_err(silent)?.map_err(broken)
    }

    /// The body of an answer that may be large; it ends with an error when the bytes stop coming.
    pub(super) fn stream(&self, response: Response) -> ByteStream {
        let patience = self.reply_timeout;
        let body = response.bytes_stream().boxed();
        stream::try_unfold(body, move |mut body| async move {
            let next = timeout(patience, body.next()).await.map_err(std::io::Error::from)?;
            let chunk = next.transpose().map_err(|error| std::io::Error::other(error.without_url()))?;
            Ok(chunk.map(|chunk| (chunk, body)))
        })
        .boxed()
    }

    /// Names the cause of a failure that concerns a bucket.
    pub(super) fn explain(&self, shelf: Shelf) -> impl FnOnce(Failure) -> ObjectError {
        move |failure| match failure {
            Failure::Refused(fault) => {
                let (endpoint, region) = (&self.endpoint, &self.region);
                fault.into_error(Scene { endpoint, bucket: self.bucket(shelf).name(), region })
            }
            Failure::Silent(source) => ObjectError::Unreachable { endpoint: self.endpoint.clone(), source },
        }
    }

    /// Names the cause of a failure that concerns an object.
    pub(super) fn explain_object(&self, key: &ObjectKey) -> impl FnOnce(Failure) -> ObjectError {
        move |failure| {
            if failure.is(Fault::is_absence) {
                ObjectError::NotFound(key.clone())
            } else {
                self.explain(key.shelf())(failure)
            }
        }
    }

    /// The service said yes and then something strange.
    pub(super) fn bad_reply(&self, what: &'static str) -> ObjectError {
        ObjectError::BadReply { endpoint: self.endpoint.clone(), what }
    }

    pub(super) fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }
}

/// The library that signs has its own type for points in time.
pub(super) fn signing_time(now: Timestamp) -> SigningTime {
    SigningTime::from_microsecond(now.unix_micros()).unwrap_or(SigningTime::MAX)
}

fn silent(elapsed: tokio::time::error::Elapsed) -> Failure {
    Failure::Silent(elapsed.into())
}

/// Leaves the address out: it carries a signature.
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
