//! The session of the web page: a cookie with the token of a login.
//!
//! A browser adds the cookie to requests of any page, so it is accepted only in requests that the page of this
//! coordinator has sent. The cookie itself is not sent with requests from other sites (`SameSite=Strict`), but other
//! ports of a host are the same site.

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use url::Url;

use super::caller::bearer;
use crate::api::base_url::BaseUrl;
use crate::app::App;
use crate::error::{ApiError, Rejection};

/// The page sends this header with every request. A page of another origin can't do so with a cookie: its browser asks
/// first, and the reply does not permit credentials.
const OF_PAGE: HeaderName = HeaderName::from_static("x-mito-page");
/// Browsers report here which page has sent a request, on HTTPS and on the machine itself.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SAME_ORIGIN: &str = "same-origin";

/// The token of a request: the bearer token, or the one in the cookie of the page.
pub(crate) fn token_of<'a>(parts: &'a Parts, app: &App) -> Result<&'a str, Rejection> {
    if parts.headers.contains_key(AUTHORIZATION) {
        return bearer(parts);
    }
    let Some(token) = cookie(parts, app.tokens.cookie_name()) else { return bearer(parts) };
    match is_of_page(parts, app) {
        true => Ok(token),
        false => Err(not_of_page()),
    }
}

/// An argument of handlers that pages of other origins must not reach.
pub(crate) struct SameOrigin;

impl FromRequestParts<App> for SameOrigin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match is_cross_origin(parts, app) {
            true => Err(not_of_page().into()),
            false => Ok(Self),
        }
    }
}

/// The cookie of a session, which lives as long as its token.
pub(crate) fn set_cookie(app: &App, base: &BaseUrl, token: &str) -> HeaderValue {
    header(app, base, token, app.tokens.lifetime().as_secs())
}

/// The cookie that removes the one of a session.
pub(crate) fn remove_cookie(app: &App, base: &BaseUrl) -> HeaderValue {
    header(app, base, "", 0)
}

fn header(app: &App, base: &BaseUrl, token: &str, seconds: u64) -> HeaderValue {
    let name = app.tokens.cookie_name();
    let secure = if base.is_secure() { "; Secure" } else { "" };
    let text = format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).expect("a token and a name in hexadecimal are valid in a header")
}

fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let lines = parts.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// Whether the page of this coordinator has sent a request. A download that the user clicks has no header of the page.
fn is_of_page(parts: &Parts, app: &App) -> bool {
    let is_download = matches!(parts.method, Method::GET | Method::HEAD) && site(parts) == Some(SAME_ORIGIN);
    (is_download || parts.headers.contains_key(OF_PAGE)) && !is_cross_origin(parts, app)
}

/// Whether a page of another origin has sent a request. Programs other than browsers send neither header.
fn is_cross_origin(parts: &Parts, app: &App) -> bool {
    match (site(parts), parts.headers.get(ORIGIN)) {
        (Some(site), _) => site != SAME_ORIGIN,
        (None, Some(origin)) => !is_origin_of(origin, &BaseUrl::of(parts, app)),
        (None, None) => false,
    }
}

fn site(parts: &Parts) -> Option<&str> {
    parts.headers.get(SEC_FETCH_SITE).map(|site| site.to_str().unwrap_or_default())
}

/// Whether an origin is that of an address. The scheme may differ: a proxy may accept TLS.
fn is_origin_of(origin: &HeaderValue, base: &BaseUrl) -> bool {
    let origin = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    let (Some(origin), Some(base)) = (origin, base.to_url()) else { return false };
    origin.host().is_some() && origin.host() == base.host() && origin.port() == base.port()
}

fn not_of_page() -> Rejection {
    Rejection::forbidden("a page of another origin sent this request").hint(
        "use the page of this coordinator; if a proxy changes the Host header, set public_url or trusted_proxies",
    )
}
