//! Open connections, their number and their timeouts.
//!
//! Each connection counts its activity; once a second, a pass over all of them closes those that are idle or too slow.
//! A timeout therefore costs a request neither a timer nor a clock reading. Held requests and event streams have no time
//! limit as long as the peer reads what is sent.

mod body_limits;
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

pub(crate) use body_limits::{BodyMemoryExceeded, CountedBody};

/// The period of the pass, and the unit of the timeouts below.
const TICK: Duration = Duration::from_secs(1);
/// Ticks until the first request must have arrived.
const FIRST_REQUEST: u32 = 10;
/// Ticks that a connection may be idle: more than clients keep an idle connection, so that they close it first.
const IDLE: u32 = 120;
/// Ticks that a connection may be idle while most slots are taken.
const IDLE_UNDER_LOAD: u32 = 15;
/// Ticks without a byte of an expected body.
const SILENT_BODY: u32 = 30;
/// The lowest average rate of a body, in bytes per tick.
const BODY_RATE: u64 = 1024;
/// Ticks in which the peer reads nothing of a response.
const UNREAD_RESPONSE: u32 = 60;

/// The largest number of connections.
const MAX_TOTAL: usize = 65_536;
/// The largest number of connections from one address.
const MAX_PER_ADDRESS: usize = 4_096;
/// Open files that the rest of the coordinator needs.
const OTHER_FILES: u64 = 128;
/// Bytes of all request bodies in memory. Two bodies of the largest size fit.
const MAX_BODY_MEMORY: u64 = 512 * 1024 * 1024;

/// The limits on the number of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    total: usize,
    per_address: usize,
}

impl Limits {
    /// Derives the limits from the limit on open files.
    pub(crate) fn of_this_process() -> Self {
        use nix::sys::resource::{Resource, getrlimit};
        Self::within(getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft))
    }

    fn within(files: u64) -> Self {
        let left = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(MAX_TOTAL);
        let total = left.clamp(64, MAX_TOTAL);
        Self { total, per_address: (total / 2).min(MAX_PER_ADDRESS) }
    }
}

/// Why a connection is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// There are too many connections.
    Total,
    /// There are too many connections from this address.
    PerAddress,
}

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    slots: Mutex<Slots>,
    clock: AtomicU32,
    /// Bytes of bodies in memory.
    bodies: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    last: u64,
    open: HashMap<u64, (Arc<State>, Option<AbortHandle>)>,
    of_address: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            slots: Mutex::default(),
            clock: AtomicU32::new(0),
            bodies: AtomicU64::new(0),
        })
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection. A trusted proxy has no limit per address, because it has many clients.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        is_proxy: bool,
    ) -> Result<ConnectionSlot, LimitReached> {
        let mut slots = self.slots();
        if slots.open.len() >= self.limits.total {
            return Err(LimitReached::Total);
        }
        let address = peer.to_canonical();
        let taken = slots.of_address.entry(address).or_default();
        if *taken >= self.limits.per_address && !is_proxy {
            return Err(LimitReached::PerAddress);
        }
        *taken += 1;
        slots.last += 1;
        let id = slots.last;
        let state = Arc::new(State::new(self.clone()));
        slots.open.insert(id, (state.clone(), None));
        Ok(ConnectionSlot { id, address, state })
    }

    /// Sets the task that serves a connection. The task owns the slot, so that the slot is freed when the task ends.
    pub(crate) fn set_task(&self, id: u64, task: AbortHandle) {
        if let Some((_, handle)) = self.slots().open.get_mut(&id) {
            *handle = Some(task);
        }
    }

    /// Closes overdue connections, until the application stops.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.clock.fetch_add(1, Relaxed);
            self.close_overdue();
        }
    }

    fn close_overdue(&self) {
        let now = self.clock.load(Relaxed);
        let slots = self.slots();
        let is_loaded = slots.open.len() * 10 >= self.limits.total * 9;
        for (state, handle) in slots.open.values() {
            if let (Some(why), Some(handle)) = (state.overdue(now, is_loaded), handle) {
                tracing::debug!(why, "closed a connection");
                handle.abort();
            }
        }
    }

    /// Closes all connections at once.
    pub(crate) fn close_all(&self) {
        self.slots().open.values().filter_map(|(_, handle)| handle.as_ref()).for_each(AbortHandle::abort);
    }

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.slots().open.len()
    }
}

/// The slot of one connection; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    id: u64,
    address: IpAddr,
    state: Arc<State>,
}

impl ConnectionSlot {
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

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut slots = self.state.all.slots();
        slots.open.remove(&self.id);
        if let Some(taken) = slots.of_address.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                slots.of_address.remove(&self.address);
            }
        }
    }
}

/// The activity of a connection. Times are in ticks.
#[derive(Debug)]
pub(crate) struct State {
    all: Arc<Connections>,
    opened: u32,
    /// Whether a request has arrived.
    served: AtomicBool,
    /// Requests without a response.
    in_flight: AtomicU32,
    answered: AtomicU32,
    received: AtomicU32,
    sent: AtomicU32,
    /// Whether the peer reads nothing.
    stuck: AtomicBool,
    /// Whether a handler waits for more of a body.
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
            in_flight: AtomicU32::new(0),
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

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.served.store(true, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    /// Why the connection must be closed, if it must.
    fn overdue(&self, now: u32, is_loaded: bool) -> Option<&'static str> {
        let since = |tick: &AtomicU32| now.saturating_sub(tick.load(Relaxed));
        if !self.served.load(Relaxed) {
            return (now - self.opened > FIRST_REQUEST).then_some("no request arrived");
        }
        if self.stuck.load(Relaxed) && since(&self.sent) > UNREAD_RESPONSE {
            return Some("the peer does not read the response");
        }
        if self.wants_body.load(Relaxed) {
            let (elapsed, bytes) = (since(&self.body_since), self.body_bytes.load(Relaxed));
            let slow = elapsed > SILENT_BODY && bytes < u64::from(elapsed) * BODY_RATE;
            return (slow || since(&self.received) > SILENT_BODY).then_some("the request body is too slow");
        }
        let idle = if is_loaded { IDLE_UNDER_LOAD } else { IDLE };
        let quiet = since(&self.answered).min(since(&self.sent)) > idle;
        (self.in_flight.load(Relaxed) == 0 && quiet).then_some("the connection is idle")
    }
}

/// A request without a response.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<State>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.answered.store(self.0.now(), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A byte stream that records its activity.
#[derive(Debug)]
pub(crate) struct Monitored<S> {
    stream: S,
    state: Arc<State>,
}

impl<S> Monitored<S> {
    pub(crate) fn new(stream: S, state: Arc<State>) -> Self {
        Self { stream, state }
    }

    fn record_sent(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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

impl<S: AsyncRead + Unpin> AsyncRead for Monitored<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Monitored<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.record_sent(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.record_sent(outcome)
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
