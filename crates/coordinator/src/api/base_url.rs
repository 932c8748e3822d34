//! The address at which the caller reached this coordinator.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::HOST;
use http::request::Parts;
use mitosis_objects::Link;
use mitosis_protocol::ADDRESS_HEADER;
use url::Url;

use super::forwarded::Forwarded;
use crate::app::App;

/// The base of links to this coordinator: scheme, host and path as the caller used them, so that the links work from
/// where the caller is. It is `public_url` if that is set, else the address in the header of a native client, else the
/// address that a trusted proxy forwards, else the one in the request.
pub(crate) struct BaseUrl(String);

impl FromRequestParts<App> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

impl BaseUrl {
    /// Reads the address from a request.
    pub(crate) fn of(parts: &Parts, app: &App) -> Self {
        if let Some(public) = &app.public_url {
            return Self(public.as_str().trim_end_matches('/').to_owned());
        }
        if let Some(used) = reported(&parts.headers) {
            return Self(used);
        }
        let Forwarded { scheme, host, prefix, .. } = Forwarded::of(parts, app);
        let own = if app.tls.is_some() { "https" } else { "http" };
        let scheme = scheme.as_ref().map_or(own, http::uri::Scheme::as_str);
        let of_header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let of_target = || parts.uri.authority().map(http::uri::Authority::as_str);
        let host = host.as_ref().map(http::uri::Authority::as_str).or_else(of_header).or_else(of_target);
        let (host, prefix) = (host.unwrap_or("localhost"), prefix.unwrap_or_default());
        Self(format!("{scheme}://{host}{prefix}"))
    }
}

/// The address that the client reports in a header. Only this client gets the links.
fn reported(headers: &HeaderMap) -> Option<String> {
    let url = Url::parse(headers.get(ADDRESS_HEADER)?.to_str().ok()?).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

impl BaseUrl {
    /// Whether the caller used HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }

    pub(crate) fn to_url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// Returns the absolute URL of a link.
    pub(crate) fn resolve(&self, link: Link) -> String {
        match link {
            Link::Direct(url) => url.into(),
            Link::ViaCoordinator(path) => format!("{}{path}", self.0),
        }
    }
}
