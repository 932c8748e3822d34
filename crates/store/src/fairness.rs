//! The shares of the groups, which all operations of one store use together.
//!
//! They affect the order of service and nothing else. So they are kept in memory, and each coordinator has its own. A pass
//! corrects the numbers of running tasks, which other coordinators and rolled back transactions change.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_domain::fairness::FairShare;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::Timestamp;

/// A [`FairShare`] of groups behind a lock.
#[derive(Debug, Default)]
pub(crate) struct SharedFairShare(Mutex<FairShare<GroupId>>);

impl SharedFairShare {
    /// Divides the next `count` tasks among the groups. Groups without a task are left out.
    pub(crate) fn shares(&self, groups: &[GroupId], count: usize, now: Timestamp) -> Vec<(GroupId, usize)> {
        let shares = self.lock().shares(groups, count, now);
        groups.iter().copied().zip(shares).filter(|(_, share)| *share > 0).collect()
    }

    /// Merges the queues of groups into one, of at most `count` items, in the order of service. The items count as started.
    pub(crate) fn merge<T>(
        &self,
        mut queues: Vec<(GroupId, VecDeque<T>)>,
        count: usize,
        now: Timestamp,
    ) -> Vec<T> {
        let lengths: Vec<(GroupId, usize)> =
            queues.iter().map(|(group, queue)| (*group, queue.len())).collect();
        let mut shares = self.lock();
        let mut merged = Vec::new();
        for place in shares.order(&lengths, now).into_iter().take(count) {
            let (group, queue) = &mut queues[place];
            shares.started(*group, now);
            merged.extend(queue.pop_front());
        }
        merged
    }

    /// Tasks of these groups have ended.
    pub(crate) fn ended(&self, groups: impl IntoIterator<Item = GroupId>, now: Timestamp) {
        let mut shares = self.lock();
        groups.into_iter().for_each(|group| shares.ended(group, now));
    }

    /// Corrects the numbers of running tasks.
    pub(crate) fn set_running(&self, running: &HashMap<GroupId, u64>, now: Timestamp) {
        self.lock().set_running(running, now);
    }

    fn lock(&self) -> MutexGuard<'_, FairShare<GroupId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
