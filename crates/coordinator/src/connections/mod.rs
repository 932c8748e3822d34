//! Open connections, and which of them have been given enough time.
//!
//! A connection notes what happens on it in a few counters; once a second one pass looks at all of them
//! and ends those that keep the coordinator waiting. So a limit costs neither a timer nor a look at the clock
//! in any request. Requests that are held and streams of events are answers that take long: they have no
//! limit, as long as what is sent is read.

mod body;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

pub(crate) use body::{Counted, TooMuchAtOnce};

/// How often the pass looks; what is counted below.
const TICK: Duration = Duration::from_secs(1);
/// Ticks until the first request has to be there.
const FIRST_REQUEST: u32 = 10;
/// Ticks between two requests: more than clients keep an idle connection, so that they close it first.
const BETWEEN_REQUESTS: u32 = 120;
/// The same while most seats are taken.
const BETWEEN_REQUESTS_IN_A_CROWD: u32 = 15;
/// Ticks without a byte of a body that is waited for.
const SILENT_BODY: u32 = 30;
/// Bytes of a body that have to come in each tick, on average.
const BODY_RATE: u64 = 1024;
/// Ticks in which a caller takes nothing of an answer.
const UNREAD_ANSWER: u32 = 60;

/// Most connections, and most of one address.
const MOST: usize = 65_536;
const MOST_OF_AN_ADDRESS: usize = 4_096;
/// Open files that the rest of the coordinator needs.
const OTHER_FILES: u64 = 128;
/// Bytes of request bodies that are held in memory at once. A batch of the largest size fits twice.
const BODIES: u64 = 512 * 1024 * 1024;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    total: usize,
    of_an_address: usize,
}

impl Room {
    /// What the limit on open files leaves.
    pub(crate) fn of_this_process() -> Self {
        use nix::sys::resource::{Resource, getrlimit};
        Self::within(getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft))
    }

    fn within(files: u64) -> Self {
        let left = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(MOST);
        let total = left.clamp(64, MOST);
        Self { total, of_an_address: (total / 2).min(MOST_OF_AN_ADDRESS) }
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many.
    Everywhere,
    /// There are too many of this address.
    FromThere,
}

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    room: Room,
    seats: Mutex<Seats>,
    clock: AtomicU32,
    /// Bytes of bodies in memory.
    bodies: AtomicU64,
}

#[derive(Debug, Default)]
struct Seats {
    last: u64,
    open: HashMap<u64, (Arc<State>, Option<AbortHandle>)>,
    of_address: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self { room, seats: Mutex::default(), clock: AtomicU32::new(0), bodies: AtomicU64::new(0) })
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a connection; a proxy, which speaks for many, has no limit of its own.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Seat, Full> {
        let mut seats = self.seats();
        if seats.open.len() >= self.room.total {
            return Err(Full::Everywhere);
        }
        let address = peer.to_canonical();
        let taken = seats.of_address.entry(address).or_default();
        if *taken >= self.room.of_an_address && !is_proxy {
            return Err(Full::FromThere);
        }
        *taken += 1;
        seats.last += 1;
        let id = seats.last;
        let state = Arc::new(State::new(self.clone()));
        seats.open.insert(id, (state.clone(), None));
        Ok(Seat { id, address, state })
    }

    /// Says which task serves a connection. It holds the seat, so that its end is that of the seat.
    pub(crate) fn is_served_by(&self, id: u64, task: AbortHandle) {
        if let Some((_, place)) = self.seats().open.get_mut(&id) {
            *place = Some(task);
        }
    }

    /// Ends overdue connections until the last one is gone.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.clock.fetch_add(1, Relaxed);
            self.end_overdue();
        }
    }

    fn end_overdue(&self) {
        let now = self.clock.load(Relaxed);
        let seats = self.seats();
        let crowded = seats.open.len() * 10 >= self.room.total * 9;
        for (state, handle) in seats.open.values() {
            if let (Some(why), Some(handle)) = (state.overdue(now, crowded), handle) {
                tracing::debug!(why, "closed a connection");
                handle.abort();
            }
        }
    }

    /// Ends all connections at once.
    pub(crate) fn end_all(&self) {
        self.seats().open.values().filter_map(|(_, handle)| handle.as_ref()).for_each(AbortHandle::abort);
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.seats().open.len()
    }
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    address: IpAddr,
    state: Arc<State>,
}

impl Seat {
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    pub(crate) fn connections(&self) -> Arc<Connections> {
        self.state.all.clone()
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.state.all.seats();
        seats.open.remove(&self.id);
        if let Some(taken) = seats.of_address.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                seats.of_address.remove(&self.address);
            }
        }
    }
}

/// What happens on a connection, in ticks.
#[derive(Debug)]
pub(crate) struct State {
    all: Arc<Connections>,
    opened: u32,
    /// A request has come.
    served: AtomicBool,
    /// Requests without an answer.
    under_way: AtomicU32,
    answered: AtomicU32,
    received: AtomicU32,
    sent: AtomicU32,
    /// The peer takes nothing.
    stuck: AtomicBool,
    /// A handler waits for more of a body.
    wants_body: AtomicBool,
    body_since: AtomicU32,
    body_bytes: AtomicU64,
}

impl State {
    fn new(all: Arc<Connections>) -> Self {
        let now = all.clock.load(Relaxed);
        let tick = || AtomicU32::new(now);
        Self {
            all,
            opened: now,
            served: AtomicBool::new(false),
            under_way: AtomicU32::new(0),
            answered: tick(),
            received: tick(),
            sent: tick(),
            stuck: AtomicBool::new(false),
            wants_body: AtomicBool::new(false),
            body_since: tick(),
            body_bytes: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u32 {
        self.all.clock.load(Relaxed)
    }

    /// A request has begun; it is under way until this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.served.store(true, Relaxed);
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(self.clone())
    }

    /// Why the connection has to end.
    fn overdue(&self, now: u32, crowded: bool) -> Option<&'static str> {
        let since = |tick: &AtomicU32| now.saturating_sub(tick.load(Relaxed));
        if !self.served.load(Relaxed) {
            return (now - self.opened > FIRST_REQUEST).then_some("no request came");
        }
        if self.stuck.load(Relaxed) && since(&self.sent) > UNREAD_ANSWER {
            return Some("the answer is not read");
        }
        if self.wants_body.load(Relaxed) {
            let (elapsed, bytes) = (since(&self.body_since), self.body_bytes.load(Relaxed));
            let slow = elapsed > SILENT_BODY && bytes < u64::from(elapsed) * BODY_RATE;
            return (slow || since(&self.received) > SILENT_BODY).then_some("the body comes too slowly");
        }
        let idle = if crowded { BETWEEN_REQUESTS_IN_A_CROWD } else { BETWEEN_REQUESTS };
        let quiet = since(&self.answered).min(since(&self.sent)) > idle;
        (self.under_way.load(Relaxed) == 0 && quiet).then_some("no further request came")
    }
}

/// A request without an answer.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.answered.store(self.0.now(), Relaxed);
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// A stream of bytes that notes when something moves.
#[derive(Debug)]
pub(crate) struct Noted<S> {
    stream: S,
    state: Arc<State>,
}

impl<S> Noted<S> {
    pub(crate) fn new(stream: S, state: Arc<State>) -> Self {
        Self { stream, state }
    }

    fn note_sent(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => self.state.stuck.store(true, Relaxed),
            Poll::Ready(_) => {
                self.state.stuck.store(false, Relaxed);
                self.state.sent.store(self.state.now(), Relaxed);
            }
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if outcome.is_ready() {
            self.state.received.store(self.state.now(), Relaxed);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_sent(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.note_sent(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
