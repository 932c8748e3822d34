//! The shares of the groups and of their members, which all operations of one store use together.
//!
//! They affect the order of service and nothing else. So they are kept in memory, and each coordinator has its own. A pass
//! corrects the numbers of running tasks, which other coordinators and rolled back transactions change.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_domain::fairness::FairShare;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;

use crate::shared::dispatch::ready::Ready;

/// Most groups whose members are remembered; beyond that, idle ones are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// The [`FairShare`] of groups and of the members of each, behind a lock.
#[derive(Debug, Default)]
pub(crate) struct SharedFairShare(Mutex<Shares>);

#[derive(Debug, Default)]
struct Shares {
    groups: FairShare<GroupId>,
    members: HashMap<GroupId, FairShare<UserId>>,
}

/// Slots that are held, by the group and the creator of their tasks.
pub(crate) type HeldSlots = HashMap<(GroupId, UserId), u64>;

impl SharedFairShare {
    /// Divides the next `count` tasks among the groups. Groups without a task are left out.
    pub(crate) fn shares(&self, groups: &[GroupId], count: usize, now: Timestamp) -> Vec<(GroupId, usize)> {
        let shares = self.lock().groups.shares(groups, count, now);
        groups.iter().copied().zip(shares).filter(|(_, share)| *share > 0).collect()
    }

    /// Divides the next `count` tasks of a group among members. Positions in `members`, the one that comes first in front;
    /// members without a task are left out.
    pub(crate) fn shares_of_members(
        &self,
        group: GroupId,
        members: &[UserId],
        count: usize,
        now: Timestamp,
    ) -> Vec<(usize, usize)> {
        let mut all = self.lock();
        let of_group = all.members.entry(group).or_default();
        let shares = of_group.shares(members, count, now);
        let ranked = of_group.ranked(members, now).into_iter();
        ranked.map(|place| (place, shares[place])).filter(|(_, share)| *share > 0).collect()
    }

    /// The order in which members of a group with these numbers of tasks take them: positions in `queues`.
    pub(crate) fn order_of_members(
        &self,
        group: GroupId,
        queues: &[(UserId, usize)],
        now: Timestamp,
    ) -> Vec<usize> {
        self.lock().members.entry(group).or_default().order(queues, now)
    }

    /// Merges the queues of groups into one, of at most `count` tasks that `takes` accepts, in the order of service. The
    /// tasks count as started.
    pub(crate) fn merge(
        &self,
        mut queues: Vec<(GroupId, VecDeque<Ready>)>,
        count: usize,
        now: Timestamp,
        mut takes: impl FnMut(&Ready) -> bool,
    ) -> Vec<Ready> {
        let lengths: Vec<(GroupId, usize)> =
            queues.iter().map(|(group, queue)| (*group, queue.len())).collect();
        let mut shares = self.lock();
        let mut merged = Vec::new();
        for place in shares.groups.order(&lengths, now) {
            if merged.len() == count {
                break;
            }
            let (group, queue) = &mut queues[place];
            if let Some(ready) = queue.pop_front()
                && takes(&ready)
            {
                shares.groups.started(*group, now);
                shares.members.entry(*group).or_default().started(ready.creator, now);
                merged.push(ready);
            }
        }
        merged
    }

    /// Tasks of these groups and creators have ended.
    pub(crate) fn ended(&self, tasks: impl IntoIterator<Item = (GroupId, UserId)>, now: Timestamp) {
        let mut shares = self.lock();
        for (group, creator) in tasks {
            shares.groups.ended(group, now);
            if let Some(members) = shares.members.get_mut(&group) {
                members.ended(creator, now);
            }
        }
    }

    /// Corrects the numbers of running tasks, and the weights of groups.
    pub(crate) fn correct(&self, held: &HeldSlots, weights: HashMap<GroupId, u32>, now: Timestamp) {
        let (mut of_groups, mut of_members) = (HashMap::new(), HashMap::new());
        for ((group, creator), slots) in held {
            *of_groups.entry(*group).or_default() += slots;
            of_members.entry(*group).or_insert_with(HashMap::new).insert(*creator, *slots);
        }
        let mut shares = self.lock();
        shares.groups.set_weights(weights, now);
        shares.groups.set_running(&of_groups, now);
        for group in of_members.keys() {
            shares.members.entry(*group).or_default();
        }
        for (group, members) in &mut shares.members {
            members.set_running(of_members.get(group).unwrap_or(&HashMap::new()), now);
        }
        if shares.members.len() > MAX_REMEMBERED {
            shares.members.retain(|_, members| !members.is_idle());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
