//! The outermost layer: request ids, error bodies, metrics and headers of every response.
//!
//! It is a single layer, because each layer adds to the memory of every held request.

use std::any::Any;
use std::net::SocketAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use mitosis_protocol::{ErrorBody, ErrorCode, VERSION_HEADER};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::discard_body::RemainingBody;
use crate::app::App;
use crate::error::{ApiError, Rejection};
use crate::failure_log::Failure;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const VERSION: HeaderName = HeaderName::from_static(VERSION_HEADER);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is accepted from a proxy.
const MAX_ID_BYTES: usize = 128;

/// Runs a request under its id, which a trusted proxy may have set, and completes the response.
pub(super) async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    app.request_counter.add();
    let id = id_of_proxy(&app, &request).unwrap_or_else(|| format!("{:016x}", app.entropy.number()));
    let (method, started) = (request.method().clone(), Instant::now());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let (request, rest) = RemainingBody::split(request);
    let mut response = next.run(request).instrument(span).await;
    if !response.status().is_success() {
        Box::pin(rest.discard()).await;
    }
    app.metrics.request(
        &method,
        route.as_ref().map(MatchedPath::as_str),
        response.status(),
        started.elapsed(),
    );
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        app.metrics.failure(failure.kind);
        app.failure_log.record(&id, &failure);
    }
    if let Some(body) = response.extensions_mut().remove::<ErrorBody>() {
        response = with_body(response.status(), ErrorBody { request_id: Some(id.clone()), ..body });
    }
    if is_stream(&response) {
        // nginx buffers responses unless this header disables it.
        response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.headers_mut().insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    response
}

/// The request id of a trusted proxy, so that both logs have the same one.
fn id_of_proxy(app: &App, request: &Request) -> Option<String> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    if !app.trusted_proxies.contains(peer.ip()) {
        return None;
    }
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    is_usable(id).then(|| id.to_owned())
}

/// Whether an id is valid in a log line and in a header.
fn is_usable(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(&byte);
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(plain)
}

fn is_stream(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn with_body(status: StatusCode, body: ErrorBody) -> Response {
    let mut response = (status, Json(body)).into_response();
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The response to a request whose handler has panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature is tower's")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> http::Response<Body> {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = text, "a handler panicked");
    ApiError::from(Rejection::new(ErrorCode::Internal, "internal error")).into_response()
}
