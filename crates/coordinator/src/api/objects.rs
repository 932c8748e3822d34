//! `/v1/objects/…`: bytes of objects, for links that lead to the coordinator itself.
//!
//! The link is the permission: its signature names the object, what may be done, and until when.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, StatusCode, header};
use mitosis_objects::{ByteRange, LinkError, ObjectBody, ObjectError, Right, SignedAccess};

use super::routes::{Asks, Routes};
use crate::app::App;
use crate::error::{chain, is_for_want_of_room};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/objects/{*path}", Asks::Link, download)
        .put("/v1/objects/{*path}", Asks::Link, upload)
        // The length is part of the link, and enforced byte by byte.
        .limit(DefaultBodyLimit::disable())
}

async fn download(State(app): State<App>, request: Request) -> Result<Response, ObjectRefusal> {
    let access = verify(&app, &request)?;
    let range =
        request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(ByteRange::parse);
    if request.method() == Method::HEAD {
        let meta = app.objects.head(&access.key).await?.ok_or(ObjectError::NotFound(access.key))?;
        return Ok(([(header::CONTENT_LENGTH, meta.length)], ()).into_response());
    }
    let body = app.objects.get(&access.key, range).await?;
    Ok(send(body, range.is_some()))
}

fn send(body: ObjectBody, partial: bool) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, body.length.into());
    headers.insert(header::ACCEPT_RANGES, http::HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/octet-stream"));
    let last = (body.offset + body.length).saturating_sub(1);
    let status = match http::HeaderValue::try_from(format!("bytes {}-{last}/{}", body.offset, body.total)) {
        Ok(range) if partial => {
            headers.insert(header::CONTENT_RANGE, range);
            StatusCode::PARTIAL_CONTENT
        }
        _ => StatusCode::OK,
    };
    (status, headers, Body::from_stream(body.stream)).into_response()
}

async fn upload(State(app): State<App>, request: Request) -> Result<StatusCode, ObjectRefusal> {
    let SignedAccess { key, right } = verify(&app, &request)?;
    let Right::Upload { length } = right else { return Err(LinkError::Invalid.into()) };
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.is_some_and(|declared| declared.parse() != Ok(length)) {
        return Err(ObjectRefusal {
            status: StatusCode::BAD_REQUEST,
            message: format!("this link is for exactly {length} bytes"),
        });
    }
    let body = request.into_body().into_data_stream().map_err(std::io::Error::other).boxed();
    app.objects.put(&key, body, length).await?;
    Ok(StatusCode::OK)
}

fn verify(app: &App, request: &Request) -> Result<SignedAccess, LinkError> {
    let target = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    app.objects.verify_link(request.method().as_str(), target, app.now())
}

/// A refusal in the form of an object store: published clients look for `Message` in XML.
struct ObjectRefusal {
    status: StatusCode,
    message: String,
}

impl From<LinkError> for ObjectRefusal {
    fn from(error: LinkError) -> Self {
        Self { status: StatusCode::FORBIDDEN, message: error.to_string() }
    }
}

impl From<ObjectError> for ObjectRefusal {
    fn from(error: ObjectError) -> Self {
        let status = match &error {
            ObjectError::NotFound(_) => StatusCode::NOT_FOUND,
            ObjectError::RangeOutside { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            ObjectError::BodyTooShort { .. }
            | ObjectError::BodyTooLong { .. }
            | ObjectError::BodyFailed(_) => StatusCode::BAD_REQUEST,
            ObjectError::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(cause = chain(&error), "an object could not be passed on");
            let message = match is_for_want_of_room(&error) {
                true => "the disk of the coordinator's object store is full",
                false => "the object store did not do its work; try again",
            };
            return Self { status, message: message.to_owned() };
        }
        Self { status, message: error.to_string() }
    }
}

impl IntoResponse for ObjectRefusal {
    fn into_response(self) -> Response {
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{message}</Message></Error>",
            self.status.as_u16()
        );
        (self.status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }
}
