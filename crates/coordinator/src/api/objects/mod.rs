//! `/v1/objects/…`: downloads and uploads through links that lead to the coordinator itself.
//!
//! The link is the permission: its signature covers the object, the operation and the expiry.

mod link_owner;
pub(in crate::api) mod std_log;
pub(crate) mod stored;
pub(crate) mod uploads;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use mitosis_domain::object::ObjectKey;
use mitosis_objects::{ByteRange, LinkError, ObjectBody, ObjectError, Right, SignedAccess};

use self::uploads::UploadRejection;
use super::routes::{Access, Routes};
use crate::api::user::artifacts::UPLOAD_VALID;
use crate::app::App;
use crate::error::{ApiError, chain, is_disk_full};
use crate::failure_log::{Failure, FailureKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .undescribed("GET", "/v1/objects/{*path}", Access::Link, routing::get(download))
        .undescribed("PUT", "/v1/objects/{*path}", Access::Link, routing::put(upload))
        // The length is part of the link, and enforced byte by byte.
        .limit(DefaultBodyLimit::disable())
}

async fn download(State(app): State<App>, request: Request) -> Result<Response, ObjectRejection> {
    let access = verify(&app, &request)?;
    // A packed object has no owner, since it contains archives of many groups.
    if access.key.owner().is_none() && access.key != ObjectKey::probe() {
        return Err(LinkError::Invalid.into());
    }
    link_owner::check(&app, &access).await?;
    let range = range_of(request.headers());
    if request.method() == Method::HEAD {
        let length = stored::length(&app, &access.key).await?.ok_or(ObjectError::NotFound(access.key))?;
        return Ok(([(header::CONTENT_LENGTH, length)], ()).into_response());
    }
    let body = stored::open(&app, &access.key, range).await?;
    if let Some(version) = body.version.as_ref().filter(|version| is_known(request.headers(), version)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, version.clone())]).into_response());
    }
    Ok(send(body, range.is_some()))
}

/// The range of bytes that a request asks for, if it is one that [`ByteRange::parse`] accepts.
pub(in crate::api) fn range_of(headers: &HeaderMap) -> Option<ByteRange> {
    headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(ByteRange::parse)
}

/// Whether the caller has this version of the object.
fn is_known(headers: &HeaderMap, version: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|known| known.as_bytes() == version.as_bytes())
}

fn send(body: ObjectBody, partial: bool) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, body.length.into());
    if let Some(version) = body.version.as_ref().and_then(|version| HeaderValue::from_str(version).ok()) {
        headers.insert(header::ETAG, version);
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Bytes of others: nothing that a browser would show or run.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let last = (body.offset + body.length).saturating_sub(1);
    let status = match HeaderValue::try_from(format!("bytes {}-{last}/{}", body.offset, body.total)) {
        Ok(range) if partial => {
            headers.insert(header::CONTENT_RANGE, range);
            StatusCode::PARTIAL_CONTENT
        }
        _ => StatusCode::OK,
    };
    (status, headers, Body::from_stream(body.stream)).into_response()
}

async fn upload(State(app): State<App>, request: Request) -> Result<StatusCode, ObjectRejection> {
    let access = verify(&app, &request)?;
    let (Right::Upload { length } | Right::Replace { length, .. }) = access.right else {
        return Err(LinkError::Invalid.into());
    };
    link_owner::check(&app, &access).await?;
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.is_some_and(|declared| declared.parse() != Ok(length)) {
        return Err(ObjectRejection::new(
            StatusCode::BAD_REQUEST,
            format!("this link requires a body of exactly {length} bytes"),
        ));
    }
    let _guard = app.object_locks.lock(&access.key).ok_or(UploadRejection::InProgress)?;
    if !uploads::is_expected(&app, &access).await? {
        return Err(UploadRejection::NotExpected.into());
    }
    let link = Link::of(&app, &access, &request);
    link.consume().await?;
    let body = uploads::with_final_check(&app, &access, request.into_body().into_data_stream());
    let stored = app.objects.put(&access.key, body, length).await;
    if stored.is_err() {
        link.release().await;
    }
    uploads::ended(&app, &access, stored.is_ok()).await;
    Ok(stored.map(|()| StatusCode::OK)?)
}

/// A link that can be used once, or a link of an attempt, which can be used until the commit.
struct Link {
    app: App,
    digest: Option<[u8; 32]>,
}

impl Link {
    fn of(app: &App, access: &SignedAccess, request: &Request) -> Self {
        let once = matches!(access.right, Right::Replace { .. });
        let digest = |target: &PathAndQuery| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, target.as_str().as_bytes());
            digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
        };
        Self { app: app.clone(), digest: request.uri().path_and_query().filter(|_| once).map(digest) }
    }

    async fn consume(&self) -> Result<(), ObjectRejection> {
        let Some(digest) = &self.digest else { return Ok(()) };
        match self.app.store.use_link(digest, self.app.now() + UPLOAD_VALID).await.map_err(ApiError::from)? {
            true => Ok(()),
            false => Err(UploadRejection::Used.into()),
        }
    }

    async fn release(&self) {
        let Some(digest) = &self.digest else { return };
        if let Err(error) = self.app.store.return_link(digest).await {
            tracing::warn!(%error, "failed to release a link after a failed upload; it can't be used again");
        }
    }
}

fn verify(app: &App, request: &Request) -> Result<SignedAccess, LinkError> {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    app.objects.verify_link(request.method().as_str(), target, app.now())
}

/// An error response in the format of S3: legacy clients read the `Message` element.
struct ObjectRejection {
    status: StatusCode,
    message: String,
    /// For the log.
    failure: Option<Failure>,
}

impl ObjectRejection {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), failure: None }
    }
}

impl From<LinkError> for ObjectRejection {
    fn from(error: LinkError) -> Self {
        Self::new(StatusCode::FORBIDDEN, error.to_string())
    }
}

impl From<UploadRejection> for ObjectRejection {
    fn from(rejection: UploadRejection) -> Self {
        let message = match rejection {
            UploadRejection::NotExpected => "this upload is no longer expected; request a new link",
            UploadRejection::InProgress => "another upload of this object is in progress; try again later",
            UploadRejection::Used => "this link has been used; request a new one",
        };
        Self::new(StatusCode::CONFLICT, message)
    }
}

impl From<ApiError> for ObjectRejection {
    fn from(error: ApiError) -> Self {
        if let ApiError::Objects(error) = error {
            return error.into();
        }
        let kind = if error.is_outage() { FailureKind::Outage } else { FailureKind::Defect };
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "the database can't be reached; try again".to_owned(),
            failure: Some(Failure { cause: chain(&error), kind }),
        }
    }
}

impl From<ObjectError> for ObjectRejection {
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
            let is_full = is_disk_full(&error);
            let message = match is_full {
                true => "the disk of the coordinator's object store is full",
                false => "the object store failed; try again",
            };
            let is_outage = is_full || status == StatusCode::SERVICE_UNAVAILABLE;
            let kind = if is_outage { FailureKind::Outage } else { FailureKind::Defect };
            let failure = Some(Failure { cause: chain(&error), kind });
            return Self { status, message: message.to_owned(), failure };
        }
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ObjectRejection {
    fn into_response(self) -> Response {
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{message}</Message></Error>",
            self.status.as_u16()
        );
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/xml")], body).into_response();
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(failure);
        }
        response
    }
}
