//! Connects the followers of the output of a task with the worker that runs it.
//!
//! It stores no output: only the offsets that followers wait for, and the waiting requests of workers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_protocol::Uuid;
use mitosis_protocol::output::{Located, LogPosition, OutputChunk, OutputDemand};
use tokio::sync::{oneshot, watch};

use crate::publish::MayWake;

/// What wakes a follower.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Bytes from the requested offsets; one of the two may be empty.
    Bytes {
        /// Standard output.
        stdout: Part,
        /// Standard error.
        stderr: Part,
    },
    /// The requested position.
    Located(Located),
    /// The task has changed and must be read again.
    Changed,
}

/// Bytes of one stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The offset of the first byte. It is larger than requested if the bytes before it are not kept.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a follower waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Bytes from these offsets on.
    Bytes { stdout: u64, stderr: u64 },
    /// The offsets of a position.
    Position(LogPosition),
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
    wanted: Wanted,
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
    /// Registers a follower.
    pub(crate) fn follow(&self, task: Uuid, wanted: Wanted) -> Following<'_> {
        let (wake, woken) = oneshot::channel();
        let mut topics = self.topics();
        topics.last_follower += 1;
        let id = topics.last_follower;
        let topic = topics.by_task.entry(task).or_insert_with(Topic::new);
        topic.followers.push(Follower { id, wanted, wake });
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
        for follower in std::mem::take(&mut topic.followers) {
            match follower.wanted.find_in(chunk) {
                // The follower may have stopped waiting.
                Some(wake) => drop(follower.wake.send(wake)),
                None => topic.followers.push(follower),
            }
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
        let offsets = || self.followers.iter().filter_map(|follower| follower.wanted.offsets());
        let demand = OutputDemand {
            stdout: offsets().map(|(stdout, _)| stdout).min(),
            stderr: offsets().map(|(_, stderr)| stderr).min(),
            locate: self.followers.iter().find_map(|follower| follower.wanted.position()),
        };
        self.demand.send_if_modified(|present| std::mem::replace(present, demand) != demand);
    }
}

impl Wanted {
    fn offsets(self) -> Option<(u64, u64)> {
        match self {
            Self::Bytes { stdout, stderr } => Some((stdout, stderr)),
            Self::Position(_) => None,
        }
    }

    fn position(self) -> Option<LogPosition> {
        match self {
            Self::Bytes { .. } => None,
            Self::Position(position) => Some(position),
        }
    }

    /// What a chunk contains of this.
    fn find_in(self, chunk: &OutputChunk) -> Option<Wake> {
        match self {
            Self::Bytes { stdout, stderr } => {
                let stdout = part(&chunk.stdout, chunk.stdout_offset, chunk.stdout_omitted, stdout);
                let stderr = part(&chunk.stderr, chunk.stderr_offset, chunk.stderr_omitted, stderr);
                let has_bytes = !stdout.bytes.is_empty() || !stderr.bytes.is_empty();
                has_bytes.then_some(Wake::Bytes { stdout, stderr })
            }
            Self::Position(position) => {
                chunk.located.filter(|located| located.position == position).map(Wake::Located)
            }
        }
    }
}

/// The part of `bytes` from `wanted` on; empty if that is out of range. The bytes start at `offset`, and `omitted` bytes
/// before that are not kept.
fn part(bytes: &[u8], offset: u64, omitted: u64, wanted: u64) -> Part {
    let is_omitted = (offset.saturating_sub(omitted)..offset).contains(&wanted) && !bytes.is_empty();
    let start = if is_omitted { offset } else { wanted };
    let skip = start.checked_sub(offset).and_then(|skip| usize::try_from(skip).ok());
    let bytes = skip.and_then(|skip| bytes.get(skip..)).unwrap_or_default().to_vec();
    Part { offset: if bytes.is_empty() { wanted } else { start }, bytes }
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

    fn from(stdout: u64) -> Wanted {
        Wanted::Bytes { stdout, stderr: 0 }
    }

    fn bytes(offset: u64, text: &str) -> Wake {
        Wake::Bytes { stdout: Part { offset, bytes: text.into() }, stderr: Part::default() }
    }

    #[tokio::test]
    async fn followers_at_different_offsets_get_exactly_their_bytes() {
        let hub = OutputHub::default();
        let worker = hub.demands(TASK);
        let (mut early, mut late) = (hub.follow(TASK, from(2)), hub.follow(TASK, from(4)));
        assert_eq!(worker.borrow().stdout, Some(2));
        assert_eq!(hub.publish(TASK, &chunk(2, "cdef")), OutputDemand::default(), "all are served");
        assert_eq!(early.woken().await, bytes(2, "cdef"));
        assert_eq!(late.woken().await, bytes(4, "ef"));
    }

    #[tokio::test]
    async fn follower_beyond_the_chunk_keeps_waiting() {
        let hub = OutputHub::default();
        let mut far = hub.follow(TASK, from(10));
        assert_eq!(hub.publish(TASK, &chunk(0, "abc")).stdout, Some(10));
        hub.changed(TASK, MayWake::in_test());
        assert_eq!(far.woken().await, Wake::Changed);
    }

    #[tokio::test]
    async fn follower_within_an_omission_gets_the_bytes_after_it() {
        let hub = OutputHub::default();
        let mut before = hub.follow(TASK, from(9));
        let mut within = [hub.follow(TASK, from(10)), hub.follow(TASK, from(19))];
        let after = hub.publish(TASK, &OutputChunk { stdout_omitted: 10, ..chunk(20, "xyz") });
        assert_eq!(after.stdout, Some(9), "its bytes are kept");
        for follower in &mut within {
            assert_eq!(follower.woken().await, bytes(20, "xyz"));
        }
        hub.publish(TASK, &chunk(9, "i"));
        assert_eq!(before.woken().await, bytes(9, "i"));
    }

    #[tokio::test]
    async fn position_is_located_beside_other_followers() {
        let hub = OutputHub::default();
        let position = LogPosition::Tail { lines: 3 };
        let mut tail = hub.follow(TASK, Wanted::Position(position));
        let _bytes = hub.follow(TASK, from(5));
        let demand = hub.publish(TASK, &chunk(0, "abc"));
        assert_eq!(demand, OutputDemand { stdout: Some(5), stderr: Some(0), locate: Some(position) });
        let located = Located { position, stdout: 70, stderr: 0 };
        let other = Located { position: LogPosition::Tail { lines: 4 }, ..located };
        for found in [other, located] {
            hub.publish(TASK, &OutputChunk { located: Some(found), ..OutputChunk::default() });
        }
        assert_eq!(tail.woken().await, Wake::Located(located));
    }

    #[test]
    fn idle_tasks_are_removed() {
        let hub = OutputHub::default();
        drop(hub.follow(TASK, from(0)));
        assert!(hub.topics().by_task.is_empty());
        let listener = hub.demands(TASK);
        hub.end_request(TASK, listener);
        assert!(hub.topics().by_task.is_empty());
    }
}
