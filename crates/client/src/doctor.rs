//! Diagnoses problems with the address, with links, and with the coordinator.

use std::time::Duration;

use mitosis_protocol::Timestamp;
use mitosis_protocol::auth::HealthReply;
use mitosis_protocol::doctor::{AdminDoctorReply, DoctorReply, PROBE};
use reqwest::{Method, header};

use crate::transfer::{checked, unreachable};
use crate::{Client, ClientError, TransferError, UserClient};

/// Time limit of each request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The server at an address.
#[derive(Debug, Clone)]
pub struct AddressCheck {
    /// The HTTP status.
    pub status: u16,
    /// Its health, if the reply is that of a coordinator.
    pub health: Option<HealthReply>,
    /// The time on its clock, to the second.
    pub date: Option<Timestamp>,
}

impl Client {
    /// Requests `/health`, and returns any reply.
    pub async fn check_address(&self) -> Result<AddressCheck, ClientError> {
        let response = self.call(Method::GET, "/health").within(REQUEST_TIMEOUT).answer().await?;
        let status = response.status().as_u16();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(Timestamp::parse_http_date);
        // Another body comes from a server that is not a coordinator.
        let health = response.json().await.ok();
        Ok(AddressCheck { status, health, date })
    }

    /// Sends the bytes of a probe to its upload link.
    pub async fn upload_probe(&self, url: &str) -> Result<(), TransferError> {
        let request = self.http().put(url).timeout(REQUEST_TIMEOUT).body(PROBE);
        checked(request.send().await.map_err(|error| unreachable(url, error))?).await.map(drop)
    }

    /// Whether the download link returns these bytes.
    pub async fn download_probe(&self, url: &str) -> Result<bool, TransferError> {
        let request = self.http().get(url).timeout(REQUEST_TIMEOUT);
        let response = checked(request.send().await.map_err(|error| unreachable(url, error))?).await?;
        Ok(response.bytes().await.map_err(|error| unreachable(url, error))? == PROBE)
    }

    /// Whether a page from `origin` may `PUT` to a link. Sends the preflight request of a browser.
    pub async fn allows_pages_of(&self, origin: &str, url: &str) -> Result<bool, TransferError> {
        let request = self
            .http()
            .request(Method::OPTIONS, url)
            .timeout(REQUEST_TIMEOUT)
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PUT");
        let response = request.send().await.map_err(|error| unreachable(url, error))?;
        let allowed = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let pages = allowed(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let methods = allowed(header::ACCESS_CONTROL_ALLOW_METHODS);
        Ok(response.status().is_success()
            && pages.is_some_and(|pages| pages == "*" || pages == origin)
            && methods.is_some_and(|methods| methods == "*" || methods.to_uppercase().contains("PUT")))
    }
}

impl UserClient {
    /// `GET /v1/doctor`.
    pub async fn doctor(&self) -> Result<DoctorReply, ClientError> {
        self.call(Method::GET, "/v1/doctor").within(REQUEST_TIMEOUT).read().await
    }

    /// `GET /v1/admin/doctor`, for administrators.
    pub async fn admin_doctor(&self) -> Result<AdminDoctorReply, ClientError> {
        self.call(Method::GET, "/v1/admin/doctor").within(REQUEST_TIMEOUT).read().await
    }
}
