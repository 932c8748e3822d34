//! Brings followers of a task's output together with the worker that has it.
//!
//! Keeps no bytes: only who waits for which offset, and whether a worker waits to be asked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_protocol::Uuid;
use mitosis_protocol::output::{OutputChunk, OutputDemand};
use tokio::sync::{oneshot, watch};

/// What a follower is woken with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Bytes from exactly the offsets it asked for; one of the two may be empty.
    Bytes {
        /// Of standard output.
        stdout: Vec<u8>,
        /// Of standard error.
        stderr: Vec<u8>,
    },
    /// Something about the task changed; look at it.
    Changed,
}

/// A task's followers, and the demand that they add up to.
struct Topic {
    followers: Vec<Follower>,
    demand: watch::Sender<OutputDemand>,
}

struct Follower {
    id: u64,
    stdout: u64,
    stderr: u64,
    wake: oneshot::Sender<Wake>,
}

#[derive(Default)]
struct Topics {
    by_task: HashMap<Uuid, Topic>,
    last_follower: u64,
}

/// All tasks that somebody follows, or whose worker asks.
#[derive(Default)]
pub(crate) struct OutputHub(Mutex<Topics>);

/// A follower's place in line; giving it up leaves the line.
pub(crate) struct Following<'a> {
    hub: &'a OutputHub,
    task: Uuid,
    id: u64,
    wake: oneshot::Receiver<Wake>,
}

impl OutputHub {
    /// Asks for output from these offsets on.
    pub(crate) fn follow(&self, task: Uuid, stdout: u64, stderr: u64) -> Following<'_> {
        let (wake, woken) = oneshot::channel();
        let mut topics = self.topics();
        topics.last_follower += 1;
        let id = topics.last_follower;
        let topic = topics.by_task.entry(task).or_insert_with(Topic::new);
        topic.followers.push(Follower { id, stdout, stderr, wake });
        topic.update_demand();
        Following { hub: self, task, id, wake: woken }
    }

    /// Hears of demands for a task's output; the present one is the first.
    pub(crate) fn demands(&self, task: Uuid) -> watch::Receiver<OutputDemand> {
        self.topics().by_task.entry(task).or_insert_with(Topic::new).demand.subscribe()
    }

    /// Hands a chunk to every follower that waits for a byte of it; answers what is wanted next.
    pub(crate) fn publish(&self, task: Uuid, chunk: &OutputChunk) -> OutputDemand {
        let mut topics = self.topics();
        let Some(topic) = topics.by_task.get_mut(&task) else { return OutputDemand::default() };
        let (served, waiting) = topic.followers.drain(..).partition(|follower| follower.wants(chunk));
        topic.followers = waiting;
        for follower in served {
            follower.serve(chunk);
        }
        topic.update_demand();
        *topic.demand.borrow()
    }

    /// Wakes everybody who follows a task: it moved on, or ended.
    pub(crate) fn changed(&self, task: Uuid) {
        let mut topics = self.topics();
        let Some(topic) = topics.by_task.get_mut(&task) else { return };
        for follower in topic.followers.drain(..) {
            let _ = follower.wake.send(Wake::Changed);
        }
        topic.update_demand();
        topics.forget_if_idle(task);
    }

    /// Called by a worker's request when it is over.
    pub(crate) fn worker_left(&self, task: Uuid, listener: watch::Receiver<OutputDemand>) {
        let mut topics = self.topics();
        drop(listener);
        topics.forget_if_idle(task);
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    fn forget_if_idle(&mut self, task: Uuid) {
        let idle = |topic: &Topic| topic.followers.is_empty() && topic.demand.receiver_count() == 0;
        if self.by_task.get(&task).is_some_and(idle) {
            self.by_task.remove(&task);
        }
    }
}

impl Topic {
    fn new() -> Self {
        Self { followers: Vec::new(), demand: watch::Sender::new(OutputDemand::default()) }
    }

    fn update_demand(&self) {
        let demand = OutputDemand {
            stdout: self.followers.iter().map(|follower| follower.stdout).min(),
            stderr: self.followers.iter().map(|follower| follower.stderr).min(),
        };
        self.demand.send_if_modified(|present| std::mem::replace(present, demand) != demand);
    }
}

impl Follower {
    fn wants(&self, chunk: &OutputChunk) -> bool {
        !from(&chunk.stdout, chunk.stdout_offset, self.stdout).is_empty()
            || !from(&chunk.stderr, chunk.stderr_offset, self.stderr).is_empty()
    }

    fn serve(self, chunk: &OutputChunk) {
        // Whoever asked may have hung up meanwhile.
        let _ = self.wake.send(Wake::Bytes {
            stdout: from(&chunk.stdout, chunk.stdout_offset, self.stdout).to_vec(),
            stderr: from(&chunk.stderr, chunk.stderr_offset, self.stderr).to_vec(),
        });
    }
}

/// The part of `bytes`, which start at `offset`, from `wanted` on; empty when `wanted` is not among them.
fn from(bytes: &[u8], offset: u64, wanted: u64) -> &[u8] {
    wanted
        .checked_sub(offset)
        .and_then(|skip| usize::try_from(skip).ok())
        .and_then(|skip| bytes.get(skip..))
        .unwrap_or_default()
}

impl Following<'_> {
    /// Waits to be woken.
    pub(crate) async fn woken(&mut self) -> Wake {
        (&mut self.wake).await.unwrap_or(Wake::Changed)
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let mut topics = self.hub.topics();
        if let Some(topic) = topics.by_task.get_mut(&self.task) {
            topic.followers.retain(|follower| follower.id != self.id);
            topic.update_demand();
            topics.forget_if_idle(self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Uuid = Uuid::from_u128(1);

    fn chunk(offset: u64, text: &str) -> OutputChunk {
        OutputChunk { stdout_offset: offset, stdout: text.into(), ..OutputChunk::default() }
    }

    #[tokio::test]
    async fn followers_at_different_offsets_get_exactly_their_bytes() {
        let hub = OutputHub::default();
        let worker = hub.demands(TASK);
        let (mut early, mut late) = (hub.follow(TASK, 2, 0), hub.follow(TASK, 4, 0));
        assert_eq!(worker.borrow().stdout, Some(2));
        assert_eq!(hub.publish(TASK, &chunk(2, "cdef")), OutputDemand::default(), "all are served");
        assert_eq!(early.woken().await, Wake::Bytes { stdout: b"cdef".to_vec(), stderr: vec![] });
        assert_eq!(late.woken().await, Wake::Bytes { stdout: b"ef".to_vec(), stderr: vec![] });
    }

    #[tokio::test]
    async fn a_follower_that_the_chunk_does_not_reach_keeps_waiting() {
        let hub = OutputHub::default();
        let mut far = hub.follow(TASK, 10, 0);
        assert_eq!(hub.publish(TASK, &chunk(0, "abc")).stdout, Some(10));
        hub.changed(TASK);
        assert_eq!(far.woken().await, Wake::Changed);
    }

    #[test]
    fn nothing_is_kept_for_tasks_that_nobody_asks_about() {
        let hub = OutputHub::default();
        drop(hub.follow(TASK, 0, 0));
        assert!(hub.topics().by_task.is_empty());
        let listener = hub.demands(TASK);
        hub.worker_left(TASK, listener);
        assert!(hub.topics().by_task.is_empty());
    }
}
