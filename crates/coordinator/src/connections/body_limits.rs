//! Request bodies: their rate, and the memory that all of them use.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Connections, MAX_BODY_MEMORY, State};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Request bodies use more memory than allowed.
#[derive(Debug, thiserror::Error)]
#[error("too many large requests at the same time")]
pub(crate) struct BodyMemoryExceeded;

/// The body memory that a request uses. Dropping it releases the memory.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    all: Arc<Connections>,
    bytes: AtomicU64,
}

impl BodyMemory {
    fn take(&self, bytes: u64) -> Result<(), BodyMemoryExceeded> {
        if self.all.bodies.fetch_add(bytes, Relaxed) + bytes > MAX_BODY_MEMORY {
            self.all.bodies.fetch_sub(bytes, Relaxed);
            return Err(BodyMemoryExceeded);
        }
        self.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        self.all.bodies.fetch_sub(*self.bytes.get_mut(), Relaxed);
    }
}

/// A request body that counts its bytes.
#[derive(Debug)]
pub(crate) struct CountedBody<B> {
    body: B,
    state: Arc<State>,
    /// `None` if the bytes are streamed and not kept.
    memory: Option<Arc<BodyMemory>>,
    started: bool,
}

impl<B: Body> CountedBody<B> {
    /// Wraps a body. Also returns the memory guard, which must be held as long as the bytes are needed; `None` if the body
    /// is empty or streamed.
    pub(crate) fn new(body: B, state: Arc<State>, is_kept: bool) -> (Self, Option<Arc<BodyMemory>>) {
        let kept = is_kept && !body.is_end_stream();
        let memory = kept.then(|| Arc::new(BodyMemory { all: state.all.clone(), bytes: AtomicU64::new(0) }));
        (Self { body, state, memory: memory.clone(), started: false }, memory)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B>
where
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if !this.started {
            this.started = true;
            this.state.body_bytes.store(0, Relaxed);
            this.state.body_since.store(this.state.now(), Relaxed);
        }
        let outcome = Pin::new(&mut this.body).poll_frame(context);
        this.state.wants_body.store(outcome.is_pending(), Relaxed);
        let Poll::Ready(Some(Ok(frame))) = outcome else {
            return outcome.map_err(Into::into);
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        this.state.body_bytes.fetch_add(length, Relaxed);
        match this.memory.as_ref().map_or(Ok(()), |memory| memory.take(length)) {
            Ok(()) => Poll::Ready(Some(Ok(frame))),
            Err(exceeded) => Poll::Ready(Some(Err(exceeded.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for CountedBody<B> {
    fn drop(&mut self) {
        self.state.wants_body.store(false, Relaxed);
    }
}
