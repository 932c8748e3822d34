//! One request and its reply.

use std::time::Duration;

use mitosis_protocol::{ADDRESS_HEADER, ErrorBody, UPLOAD_HEADER, UPLOADS_ONCE};
use reqwest::header::HeaderValue;
use reqwest::{Method, Request, RequestBuilder, Response, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::addresses::Addresses;
use crate::error::ClientError;

/// The default time limit of a reply: somewhat longer than a coordinator's limit for its database.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(150);
/// The time limit of a reply that may concern millions of tasks.
pub(crate) const BULK_REPLY_TIMEOUT: Duration = Duration::from_mins(20);

/// A request under construction.
pub(crate) struct Call<'a> {
    addresses: &'a Addresses,
    /// The address that the request is for.
    address: &'a str,
    request: RequestBuilder,
}

impl<'a> Call<'a> {
    pub(crate) fn new(http: &reqwest::Client, addresses: &'a Addresses, method: Method, path: &str) -> Self {
        let address = addresses.current();
        Self { addresses, address, request: http.request(method, format!("{address}{path}")) }
    }

    /// Sets the time limit for bulk requests.
    pub(crate) fn in_bulk(self) -> Self {
        self.within(BULK_REPLY_TIMEOUT)
    }

    pub(crate) fn bearer(self, token: &SecretString) -> Self {
        Self { request: self.request.bearer_auth(token.expose_secret()), ..self }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Announces an upload, for a link as [`crate::Client::upload_open`] uses it.
    pub(crate) fn uploading(self) -> Self {
        self.header(UPLOAD_HEADER, UPLOADS_ONCE)
    }

    pub(crate) fn json(self, body: &impl Serialize) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { request: self.request.timeout(limit), ..self }
    }

    /// Sends the request and reads the reply as JSON.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let address = self.addresses.current().to_owned();
        let response = self.send().await?;
        response.json().await.map_err(|error| broken(&address, error))
    }

    /// Sends the request and reads the reply as text.
    pub(crate) async fn text(self) -> Result<String, ClientError> {
        let address = self.addresses.current().to_owned();
        self.send().await?.text().await.map_err(|error| broken(&address, error))
    }

    /// Sends the request; a success has no content.
    pub(crate) async fn done(self) -> Result<(), ClientError> {
        self.send().await.map(drop)
    }

    /// Sends the request; any reply but a success is an error.
    pub(crate) async fn send(self) -> Result<Response, ClientError> {
        let addresses = self.addresses;
        let response = self.answer().await?;
        match response.status().is_success() && !is_page(&response) {
            true => Ok(response),
            false => Err(refused(addresses.current(), response).await),
        }
    }

    /// Sends the request and returns any reply. If an address can't be reached, the request is sent to the next
    /// one.
    pub(crate) async fn answer(self) -> Result<Response, ClientError> {
        let Self { addresses, mut address, request } = self;
        let (http, request) = request.build_split();
        let mut request = request.map_err(|error| ClientError::Setup(error.into()))?;
        let rest = request.url().as_str().get(address.len()..).unwrap_or_default().to_owned();
        let (mut more, mut may_redirect) = (addresses.len(), true);
        loop {
            name_address(&mut request, address);
            let again = request.try_clone();
            let error = match http.execute(request).await {
                Ok(response) => match redirect(&response) {
                    None => {
                        addresses.learned.note(&response);
                        return Ok(response);
                    }
                    Some(target) => {
                        let upgraded = addresses.upgrade(address, &rest, &target);
                        let (Some(upgraded), Some(again), true) = (upgraded, again, may_redirect) else {
                            return Err(redirected(address, &rest, &target));
                        };
                        may_redirect = false;
                        address = upgraded;
                        request = readdressed(again, address, &rest)?;
                        continue;
                    }
                },
                Err(error) => error,
            };
            more -= 1;
            if error.is_connect() {
                addresses.move_on_from(address);
            }
            match again {
                Some(again) if more > 0 && error.is_connect() => {
                    address = addresses.current();
                    request = readdressed(again, address, &rest)?;
                }
                _ => {
                    return Err(ClientError::Unreachable {
                        address: address.to_owned(),
                        source: error.into(),
                    });
                }
            }
        }
    }
}

/// Adds the address of the coordinator, for links that lead back to it.
fn name_address(request: &mut Request, address: &str) {
    if let Ok(address) = HeaderValue::from_str(address) {
        request.headers_mut().insert(ADDRESS_HEADER, address);
    }
}

/// The target of a redirect.
pub(crate) fn redirect(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

/// The error for a redirect, without the query, which can contain secrets.
fn redirected(address: &str, rest: &str, target: &Url) -> ClientError {
    let target = target.as_str().strip_suffix(rest).unwrap_or(target.as_str());
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let target = match Url::parse(target) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/')),
        Err(_) => "another address".to_owned(),
    };
    ClientError::Redirected { address: address.to_owned(), target }
}

/// The same request for another coordinator.
fn readdressed(mut request: Request, address: &str, rest: &str) -> Result<Request, ClientError> {
    let url = Url::parse(&format!("{address}{rest}"));
    *request.url_mut() = url.map_err(|_| ClientError::Address {
        shown: address.to_owned(),
        why: "a path cannot be appended to it",
    })?;
    Ok(request)
}

/// Whether a reply is an HTML page, which a coordinator sends to browsers only.
fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("text/html"))
}

fn broken(address: &str, error: reqwest::Error) -> ClientError {
    let address = address.to_owned();
    match error.is_decode() {
        true => ClientError::Unexpected { address, source: error.into() },
        false => ClientError::Unreachable { address, source: error.into() },
    }
}

/// Reads an error: JSON if the server sends it, otherwise any text. A page of a proxy is ignored; its status is
/// sufficient.
async fn refused(address: &str, response: Response) -> ClientError {
    let (status, is_page) = (response.status(), is_page(&response));
    let text = response.text().await.unwrap_or_default();
    if let Ok(body) = serde_json::from_str(&text) {
        return ClientError::Refused { status: status.as_u16(), body: Box::new(body) };
    }
    if is_page || matches!(status.as_u16(), 413 | 502..=504) {
        return ClientError::Intercepted { address: address.to_owned(), status: status.as_u16() };
    }
    let msg = match text.trim() {
        "" => format!("the coordinator answered {status}"),
        text => text.chars().take(500).collect(),
    };
    let body = ErrorBody { msg, code: None, hint: None, request_id: None };
    ClientError::Refused { status: status.as_u16(), body: Box::new(body) }
}
