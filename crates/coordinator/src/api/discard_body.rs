//! Discards the rest of the body of a rejected request.
//!
//! If a connection is closed while the client still sends, most systems drop the response, too: the client sees a broken
//! connection instead of the error.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use mitosis_domain::limits;

/// How long a client may take to send the rest of a body.
const LIMIT: Duration = Duration::from_secs(30);

/// A body with two owners: the handler, and the layer that discards the rest.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Body) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// The part of a request body that the handler has not read.
pub(super) struct RemainingBody(Shared);

impl RemainingBody {
    /// Splits a request into the request for the handler and a second handle on its body.
    pub(super) fn split(request: Request) -> (Request, Self) {
        let (parts, body) = request.into_parts();
        let shared = Shared(Arc::new(Mutex::new(body)));
        (Request::from_parts(parts, Body::new(shared.clone())), Self(shared))
    }

    /// Reads and drops the rest, up to the largest size of a valid body.
    pub(super) async fn discard(self) {
        if !self.0.is_end_stream() {
            // The response is the same whether or not all of it has arrived.
            let _ = tokio::time::timeout(LIMIT, read(self.0)).await;
        }
    }
}

async fn read(mut body: Shared) {
    let mut left = limits::MAX_BATCH_BODY_BYTES;
    while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(less) => left = less,
            None => return,
        }
    }
}
