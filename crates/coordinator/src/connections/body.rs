//! The body of a request: how fast it comes, and how much of all bodies is in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BODIES, Connections, State};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// More bodies are being read than memory is meant for.
#[derive(Debug, thiserror::Error)]
#[error("too many large requests at once")]
pub(crate) struct TooMuchAtOnce;

/// What a request keeps in memory, given back when the last part of it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Connections>,
    bytes: AtomicU64,
}

impl Share {
    fn take(&self, bytes: u64) -> Result<(), TooMuchAtOnce> {
        if self.all.bodies.fetch_add(bytes, Relaxed) + bytes > BODIES {
            self.all.bodies.fetch_sub(bytes, Relaxed);
            return Err(TooMuchAtOnce);
        }
        self.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.bodies.fetch_sub(*self.bytes.get_mut(), Relaxed);
    }
}

/// A body that counts its bytes.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    body: B,
    state: Arc<State>,
    /// None where the bytes are passed on and not kept.
    share: Option<Arc<Share>>,
    begun: bool,
}

impl<B: Body> Counted<B> {
    /// Counts a body, and says what has to be held for as long as its bytes are needed: nothing if there
    /// are none, or if they are passed on.
    pub(crate) fn new(body: B, state: Arc<State>, is_kept: bool) -> (Self, Option<Arc<Share>>) {
        let kept = is_kept && !body.is_end_stream();
        let share = kept.then(|| Arc::new(Share { all: state.all.clone(), bytes: AtomicU64::new(0) }));
        (Self { body, state, share: share.clone(), begun: false }, share)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B>
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
        if !this.begun {
            this.begun = true;
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
        match this.share.as_ref().map_or(Ok(()), |share| share.take(length)) {
            Ok(()) => Poll::Ready(Some(Ok(frame))),
            Err(refused) => Poll::Ready(Some(Err(refused.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        self.state.wants_body.store(false, Relaxed);
    }
}
