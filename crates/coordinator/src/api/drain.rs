//! Reading what a refused request still sends.
//!
//! Closing a connection on a client that is in the middle of its body makes most systems throw away the
//! answer too: the client sees a broken connection where it should see the reason.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use mitosis_domain::limits;

/// How long a client may take to send the rest.
const LIMIT: Duration = Duration::from_secs(30);

/// A body of which the rest can be read by somebody else.
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

/// What a request still sends.
pub(super) struct Rest(Shared);

impl Rest {
    /// The request as it came, and the other hand on its body.
    pub(super) fn of(request: Request) -> (Request, Self) {
        let (parts, body) = request.into_parts();
        let shared = Shared(Arc::new(Mutex::new(body)));
        (Request::from_parts(parts, Body::new(shared.clone())), Self(shared))
    }

    /// Reads it, as far as it is of a size that could have been sent by mistake.
    pub(super) async fn drain(self) {
        if !self.0.is_end_stream() {
            // Whether all of it came makes no difference to the answer.
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
