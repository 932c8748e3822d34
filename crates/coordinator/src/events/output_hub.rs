//! Connects the followers of the output of a task with the worker that runs it.
//!
//! It stores no output: only the offsets that followers wait for, and the waiting requests of workers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_protocol::Uuid;
use mitosis_protocol::output::{OutputChunk, OutputDemand};
use tokio::sync::{oneshot, watch};

use crate::publish::MayWake;

/// What wakes a follower.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Bytes from the requested offsets; one of the two may be empty.
    Bytes {
        /// Standard output.
        stdout: Vec<u8>,
        /// Standard error.
        stderr: Vec<u8>,
    },
    /// The task has changed and must be read again.
    Changed,
}

/// The followers of a task, and their combined demand.
#[derive(Debug)]
struct Topic {
    followers: Vec<Follower>,
    demand: watch::Sender<OutputDemand>,
}

#[derive(Debug)]
struct Follower {
    id: u64,
    stdout: u64,
    stderr: u64,
    wake: oneshot::Sender<Wake>,
}

#[derive(Debug, Default)]
struct Topics {
    by_task: HashMap<Uuid, Topic>,
    last_follower: u64,
}

/// The tasks with followers, or with a waiting request of their worker.
#[derive(Debug, Default)]
pub(crate) struct OutputHub(Mutex<Topics>);

/// A registered follower; dropping it ends the registration.
pub(crate) struct Following<'a> {
    hub: &'a OutputHub,
    task: Uuid,
    id: u64,
    wake: oneshot::Receiver<Wake>,
}

impl OutputHub {
    /// Registers a follower for output from these offsets on.
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

    /// Subscribes to the demand for the output of a task, starting with the current one.
    pub(crate) fn demands(&self, task: Uuid) -> watch::Receiver<OutputDemand> {
        self.topics().by_task.entry(task).or_insert_with(Topic::new).demand.subscribe()
    }

    /// Delivers a chunk to all followers that wait for a byte of it. Returns the remaining demand.
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

    /// Wakes all followers of a task, because it has changed or ended.
    pub(crate) fn changed(&self, task: Uuid, _: MayWake) {
        let mut topics = self.topics();
        let Some(topic) = topics.by_task.get_mut(&task) else { return };
        for follower in topic.followers.drain(..) {
            let _ = follower.wake.send(Wake::Changed);
        }
        topic.update_demand();
        topics.remove_if_idle(task);
    }

    /// Ends the request of a worker.
    pub(crate) fn end_request(&self, task: Uuid, listener: watch::Receiver<OutputDemand>) {
        let mut topics = self.topics();
        drop(listener);
        topics.remove_if_idle(task);
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    fn remove_if_idle(&mut self, task: Uuid) {
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
        // The follower may have given up.
        let _ = self.wake.send(Wake::Bytes {
            stdout: from(&chunk.stdout, chunk.stdout_offset, self.stdout).to_vec(),
            stderr: from(&chunk.stderr, chunk.stderr_offset, self.stderr).to_vec(),
        });
    }
}

/// The part of `bytes`, which start at `offset`, from `wanted` on; empty if `wanted` is out of range.
fn from(bytes: &[u8], offset: u64, wanted: u64) -> &[u8] {
    wanted
        .checked_sub(offset)
        .and_then(|skip| usize::try_from(skip).ok())
        .and_then(|skip| bytes.get(skip..))
        .unwrap_or_default()
}

impl Following<'_> {
    /// Waits for output or a change.
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
            topics.remove_if_idle(self.task);
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
    async fn follower_beyond_the_chunk_keeps_waiting() {
        let hub = OutputHub::default();
        let mut far = hub.follow(TASK, 10, 0);
        assert_eq!(hub.publish(TASK, &chunk(0, "abc")).stdout, Some(10));
        hub.changed(TASK, MayWake::in_test());
        assert_eq!(far.woken().await, Wake::Changed);
    }

    #[test]
    fn idle_tasks_are_removed() {
        let hub = OutputHub::default();
        drop(hub.follow(TASK, 0, 0));
        assert!(hub.topics().by_task.is_empty());
        let listener = hub.demands(TASK);
        hub.end_request(TASK, listener);
        assert!(hub.topics().by_task.is_empty());
    }
}
