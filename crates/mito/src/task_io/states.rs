//! Reads the states of many tasks in batches, at most a few times a second.
//!
//! An event for each change of each task would cost the coordinator more than a short task itself.

use std::collections::HashSet;
use std::time::Duration;

use mitosis_client::{ClientError, UserClient};
use mitosis_protocol::Uuid;
use mitosis_protocol::events::{MAX_STATES, StatesRequest, TaskEvent};
use tokio::time::{Instant, sleep_until};

/// More tasks than this are read in batches; fewer are followed by their events.
pub(crate) const FEW: usize = 16;

/// The pause between two reads of the states, per task: reading a state takes the coordinator a fraction of it.
const PAUSE_PER_TASK: Duration = Duration::from_micros(100);
/// The longest pause between two reads, however many tasks there are.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause while nothing changes.
const MAX_IDLE_PAUSE: Duration = Duration::from_secs(2);

/// The tasks that run, and those that have ended since the last batch.
#[derive(Debug, Default)]
pub(crate) struct StateBatch {
    pub(crate) running: Vec<TaskEvent>,
    pub(crate) ended: Vec<TaskEvent>,
}

/// Reads the states of tasks until all have ended.
#[derive(Debug)]
pub(crate) struct StatePoll {
    /// The tasks that have not ended, the newest first: it is probably the last to end, so requests are held for it.
    left: Vec<Uuid>,
    /// The number of tasks that ran at the last read.
    running: usize,
    min_pause: Duration,
    /// The pause while nothing changes.
    idle_pause: Duration,
    next_at: Instant,
}

impl StatePoll {
    /// Polls these tasks, the newest first, with at least this pause between two reads.
    pub(crate) fn new(newest_first: Vec<Uuid>, min_pause: Duration) -> Self {
        Self {
            left: newest_first,
            running: 0,
            min_pause,
            idle_pause: min_pause,
            next_at: Instant::now() + min_pause,
        }
    }

    /// The next batch, which may be empty. After an error, the call can be repeated, and nothing is lost.
    pub(crate) async fn next(&mut self, user: &UserClient) -> Result<StateBatch, ClientError> {
        sleep_until(self.next_at).await;
        let begun = Instant::now();
        let pause = self.pause();
        let longest = pause.max(self.idle_pause);
        // The coordinator holds a single request until the newest task has ended.
        let wait = (self.left.len() <= MAX_STATES).then_some(longest);
        let mut batch = StateBatch::default();
        for tasks in self.left.chunks(MAX_STATES) {
            let reply = user.states(&StatesRequest { tasks: tasks.to_vec(), wait }).await?;
            let (ended, running): (Vec<_>, Vec<_>) =
                reply.tasks.into_iter().partition(|task| task.result.is_some());
            batch.ended.extend(ended);
            batch.running.extend(running);
        }
        batch.ended.sort_by_key(|task| task.at);
        if batch.ended.is_empty() && batch.running.len() == self.running {
            self.idle_pause = (longest * 2).min(MAX_IDLE_PAUSE);
            self.next_at = begun + longest;
        } else {
            self.idle_pause = self.min_pause;
            self.next_at = begun + pause;
        }
        self.running = batch.running.len();
        let ended: HashSet<Uuid> = batch.ended.iter().map(|task| task.uuid).collect();
        self.left.retain(|task| !ended.contains(task));
        Ok(batch)
    }

    /// The pause between two reads that find changes.
    fn pause(&self) -> Duration {
        let tasks = u32::try_from(self.left.len()).unwrap_or(u32::MAX);
        (self.min_pause + PAUSE_PER_TASK.saturating_mul(tasks)).min(MAX_PAUSE)
    }

    /// Whether all tasks have ended.
    pub(crate) fn is_done(&self) -> bool {
        self.left.is_empty()
    }
}
