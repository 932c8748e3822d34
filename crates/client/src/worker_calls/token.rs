//! The worker's token: its lifetime and its renewal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mitosis_protocol::auth::TokenReply;
use mitosis_protocol::tokens::RenewWorkerTokenRequest;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, Response};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::{ClientError, WorkerClient};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `POST /v1/workers/token`: replaces the token, for all clones of this client, by one that expires later.
    /// Returns its lifetime, if it is known.
    pub async fn renew_token(&self) -> Result<Option<Duration>, ClientError> {
        let request = RenewWorkerTokenRequest::default();
        let response = self
            .call(Method::POST, "/v1/workers/token")
            .json(&request)
            .within(REQUEST_TIMEOUT)
            .send()
            .await?;
        let sent_at = sent_at(&response);
        let address = self.client().address().to_owned();
        let reply: TokenReply = response
            .json()
            .await
            .map_err(|error| ClientError::Unexpected { address, source: error.into() })?;
        let life = life(&reply.token, sent_at);
        self.replace_token(reply.token.into());
        Ok(life)
    }
}

/// When the coordinator sent a reply, by its own clock.
pub(crate) fn sent_at(response: &Response) -> Option<OffsetDateTime> {
    of_headers(response.headers())
}

fn of_headers(headers: &HeaderMap) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()
}

/// The lifetime of a token that was sent at this moment. Both times are from the coordinator's clock, so the
/// clock of this machine may be wrong.
pub(crate) fn life(token: &str, sent_at: Option<OffsetDateTime>) -> Option<Duration> {
    let life = end(token)? - sent_at?.unix_timestamp();
    Some(Duration::from_secs(u64::try_from(life).unwrap_or_default()))
}

/// The expiry in a token, in Unix seconds. Only the coordinator can verify it.
fn end(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let token = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_life_counts_from_the_reply() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"x","exp":1900000060,"sign":0}"#);
        let token = STANDARD.encode(format!("e30.{claims}.c2ln"));
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sun, 17 Mar 2030 17:46:30 GMT".parse().unwrap());
        assert_eq!(life(&token, of_headers(&headers)), Some(Duration::from_secs(70)));
        assert_eq!(life(&token, None), None);
        for other in ["mito_pat_x", "", "%%%"] {
            assert_eq!(life(other, of_headers(&headers)), None, "{other}");
        }
    }
}
