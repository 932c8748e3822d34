//! The address under which the caller reached this coordinator.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;
use mitosis_objects::Link;

use crate::app::App;

/// Scheme and host as the caller used them; links to this coordinator start with it, so that they work
/// from where the caller is.
pub(crate) struct Origin(String);

impl FromRequestParts<App> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Infallible> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        Ok(Self(format!("http://{}", host.or(authority).unwrap_or("localhost"))))
    }
}

impl Origin {
    /// The absolute address of a link.
    pub(crate) fn resolve(&self, link: Link) -> String {
        match link {
            Link::Direct(url) => url.into(),
            Link::ViaCoordinator(path) => format!("{}{path}", self.0),
        }
    }
}
