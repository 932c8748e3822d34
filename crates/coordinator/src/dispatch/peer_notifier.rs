//! Hints between the coordinators of one database: tasks became Ready, tasks changed, an agent has to be woken, a peer
//! waits for live output.
//!
//! A hint saves a wait. Losing one costs time and nothing else, so hints are never part of the transaction that they
//! are about.

use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::output::{LogPosition, OutputChunk};
use mitosis_protocol::{ExecState, Uuid};
use mitosis_store::Store;
use mitosis_store::ops::notifications::Notification;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::publish::Publisher;
use crate::publish::notifier::Notifier;

/// How long the first hint waits for others.
const WINDOW: Duration = Duration::from_millis(20);
/// Bytes in one envelope; databases carry a little more.
const ENVELOPE_BYTES: usize = 6_500;
/// Most bytes of output in one envelope: with both streams in base64 it fits.
pub(crate) const OUTPUT_BYTES: usize = 2_200;

/// A message to all coordinators. The names of its fields are those of older versions.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Envelope {
    /// The sender, which receives its own messages, too.
    from: u64,
    /// Tasks became Ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ready: bool,
    /// Tasks changed to another state.
    #[serde(default, rename = "news", skip_serializing_if = "std::ops::Not::not")]
    changed: bool,
    #[serde(default, rename = "notes", skip_serializing_if = "Vec::is_empty")]
    hints: Vec<Hint>,
}

/// A hint for the coordinator that it concerns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Hint {
    /// The store has a message for this agent.
    #[serde(rename = "Summon")]
    WakeAgent(Uuid),
    /// A client of the sender follows the output of a task that this agent runs.
    Follow {
        agent: Uuid,
        task: Uuid,
        /// The first byte to send of each stream.
        stdout: u64,
        stderr: u64,
        /// A position to find instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<LogPosition>,
    },
    /// A worker of the sender watches the states of a task that this agent holds.
    Watch {
        agent: Uuid,
        task: Uuid,
        /// How long the task may run.
        timeout: Timeout,
    },
    /// The state of a watched task.
    State { agent: Uuid, task: Uuid, state: ExecState },
    /// Output of a followed task.
    Output { task: Uuid, chunk: OutputChunk },
}

/// A message from a peer.
#[derive(Debug)]
pub(crate) enum Received {
    Hint(Hint),
    /// Hints may have been lost.
    Missed,
}

impl Hint {
    /// The approximate size in an envelope.
    fn bytes(&self) -> usize {
        match self {
            Self::WakeAgent(_) => 60,
            Self::Follow { .. } | Self::Watch { .. } | Self::State { .. } => 200,
            Self::Output { chunk, .. } => 300 + (chunk.stdout.len() + chunk.stderr.len()) * 4 / 3,
        }
    }
}

/// Sends hints to the other coordinators; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PeerNotifier(mpsc::UnboundedSender<Hint>);

/// The queue of hints to send.
#[derive(Debug, Clone)]
pub(crate) struct HintQueue(Arc<Mutex<mpsc::UnboundedReceiver<Hint>>>);

#[cfg(test)]
impl HintQueue {
    /// A hint that is to be sent, if there is one.
    pub(crate) async fn take(&self) -> Option<Hint> {
        self.0.lock().await.try_recv().ok()
    }
}

impl PeerNotifier {
    pub(crate) fn new() -> (Self, HintQueue) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), HintQueue(Arc::new(Mutex::new(receiver))))
    }

    /// Sends a hint to all other coordinators.
    pub(crate) fn send(&self, hint: Hint) {
        // Without peers, no task receives it.
        let _ = self.0.send(hint);
    }
}

/// The dependencies of the exchange of hints.
#[derive(Debug, Clone)]
pub(crate) struct Dependencies {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ready: Notifier,
    pub(crate) changed: Notifier,
    pub(crate) publisher: Publisher,
    pub(crate) stopping: CancellationToken,
}

/// Sends and receives hints until the application stops. A store without peers sends and receives none.
pub(crate) async fn serve(dependencies: Dependencies, outbox: HintQueue, apply: impl Fn(Received)) {
    let Some(heard) = dependencies.store.listen() else { return dependencies.stopping.cancelled().await };
    let name = dependencies.entropy.number().unsigned_abs();
    let mut outbox = outbox.0.lock().await;
    tokio::join!(send(&dependencies, name, &mut outbox), receive(&dependencies, name, heard, apply));
}

async fn send(dependencies: &Dependencies, name: u64, outbox: &mut mpsc::UnboundedReceiver<Hint>) {
    let Dependencies { store, entropy, ready, changed, stopping, .. } = dependencies;
    let (mut ready, mut changed) = (ready.subscribe_to_own(), changed.subscribe_to_own());
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut left_over: Option<Hint> = None;
    loop {
        let mut envelope = Envelope { from: name, ..Envelope::default() };
        if left_over.is_none() {
            tokio::select! {
                () = ready.notified() => envelope.ready = true,
                () = changed.notified() => envelope.changed = true,
                hint = outbox.recv() => left_over = hint,
                () = stopping.cancelled() => return,
            }
            tokio::time::sleep(WINDOW).await;
        }
        envelope.ready |= ready.take();
        envelope.changed |= changed.take();
        let mut bytes = 0;
        while let Some(hint) = left_over.take().or_else(|| outbox.try_recv().ok()) {
            bytes += hint.bytes();
            if bytes > ENVELOPE_BYTES && !envelope.hints.is_empty() {
                left_over = Some(hint);
                break;
            }
            envelope.hints.push(hint);
        }
        let text = serde_json::to_string(&envelope).expect("an envelope is plain data");
        match store.notify(&text).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::debug!(cause = chain(&error), "failed to send hints to the other coordinators");
                tokio::time::sleep(backoff.next_wait(entropy.fraction())).await;
            }
        }
    }
}

async fn receive(
    Dependencies { publisher, stopping, .. }: &Dependencies,
    name: u64,
    mut heard: mpsc::Receiver<Notification>,
    apply: impl Fn(Received),
) {
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = stopping.cancelled() => return,
        };
        let (is_ready, has_changed) = match heard {
            Some(Notification::Message(text)) => match serde_json::from_str::<Envelope>(&text) {
                Ok(envelope) if envelope.from != name => {
                    envelope.hints.into_iter().map(Received::Hint).for_each(&apply);
                    (envelope.ready, envelope.changed)
                }
                Ok(_) => continue,
                Err(error) => {
                    tracing::debug!(%error, "invalid message from another coordinator");
                    continue;
                }
            },
            Some(Notification::Gap) => {
                apply(Received::Missed);
                (true, true)
            }
            None => return,
        };
        if is_ready {
            publisher.ready_at_peer();
        }
        if has_changed {
            publisher.changed_at_peer();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_envelope_fits_into_a_signal() {
        let bytes = vec![0xff; OUTPUT_BYTES];
        let chunk = OutputChunk {
            stdout_offset: u64::MAX,
            stdout: bytes.clone(),
            stderr_offset: u64::MAX,
            stderr: bytes,
            stdout_omitted: u64::MAX,
            stderr_omitted: u64::MAX,
            located: None,
        };
        let output = Hint::Output { task: Uuid::max(), chunk };
        assert!(output.bytes() <= ENVELOPE_BYTES, "it fits");
        let mut hints = vec![output];
        let mut bytes = hints[0].bytes();
        while bytes + Hint::WakeAgent(Uuid::max()).bytes() <= ENVELOPE_BYTES {
            hints.push(Hint::WakeAgent(Uuid::max()));
            bytes += hints[1].bytes();
        }
        let envelope = Envelope { from: u64::MAX, ready: true, changed: true, hints };
        let length = serde_json::to_string(&envelope).unwrap().len();
        assert!(length < 7_000, "{length}");
    }
}
