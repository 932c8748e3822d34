//! One request and its answer.

use std::time::Duration;

use mitosis_protocol::ErrorBody;
use reqwest::{Method, Request, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::addresses::Addresses;
use crate::error::ClientError;

/// A request that is being put together.
pub(crate) struct Call<'a> {
    addresses: &'a Addresses,
    request: RequestBuilder,
}

impl<'a> Call<'a> {
    pub(crate) fn new(http: &reqwest::Client, addresses: &'a Addresses, method: Method, path: &str) -> Self {
        Self { addresses, request: http.request(method, format!("{}{path}", addresses.current())) }
    }

    pub(crate) fn bearer(self, token: &SecretString) -> Self {
        Self { request: self.request.bearer_auth(token.expose_secret()), ..self }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn json(self, body: &impl Serialize) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { request: self.request.timeout(limit), ..self }
    }

    /// Sends it and reads the answer as JSON.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let address = self.addresses.current().to_owned();
        let response = self.send().await?;
        response.json().await.map_err(|error| broken(&address, error))
    }

    /// Sends it and reads the answer as text.
    pub(crate) async fn text(self) -> Result<String, ClientError> {
        let address = self.addresses.current().to_owned();
        self.send().await?.text().await.map_err(|error| broken(&address, error))
    }

    /// Sends it; a success has nothing to read.
    pub(crate) async fn done(self) -> Result<(), ClientError> {
        self.send().await.map(drop)
    }

    /// Sends it; anything but a success is an error.
    pub(crate) async fn send(self) -> Result<Response, ClientError> {
        let response = self.answer().await?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    /// Sends it; any answer is one. When nobody is there at an address, nothing was said to anybody, so the
    /// next one is asked.
    pub(crate) async fn answer(self) -> Result<Response, ClientError> {
        let Self { addresses, request } = self;
        let (http, request) = request.build_split();
        let mut request = request.map_err(|error| ClientError::Setup(error.into()))?;
        let mut more = addresses.len();
        loop {
            more -= 1;
            let again = if more > 0 { request.try_clone() } else { None };
            let address = request.url().origin().ascii_serialization();
            let error = match http.execute(request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if error.is_connect() {
                addresses.move_on_from(&address);
            }
            match again {
                Some(again) if error.is_connect() => request = readdressed(again, addresses.current())?,
                _ => return Err(ClientError::Unreachable { address, source: error.into() }),
            }
        }
    }
}

/// The same request to another coordinator.
fn readdressed(mut request: Request, address: &str) -> Result<Request, ClientError> {
    let mut url = Url::parse(address).map_err(|_| ClientError::Address(address.to_owned()))?;
    url.set_path(request.url().path());
    url.set_query(request.url().query());
    *request.url_mut() = url;
    Ok(request)
}

fn broken(address: &str, error: reqwest::Error) -> ClientError {
    let address = address.to_owned();
    match error.is_decode() {
        true => ClientError::Unexpected { address, source: error.into() },
        false => ClientError::Unreachable { address, source: error.into() },
    }
}

/// Reads a refusal: JSON where the server sends it, else whatever text there is.
async fn refused(response: Response) -> ClientError {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| ErrorBody {
        msg: match text.trim() {
            "" => format!("the coordinator answered {status}"),
            text => text.chars().take(500).collect(),
        },
        code: None,
        hint: None,
        request_id: None,
    });
    ClientError::Refused { status: status.as_u16(), body: Box::new(body) }
}
