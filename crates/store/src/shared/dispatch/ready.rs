//! The choice of the next tasks. Groups share slot time. Within a group, larger priority goes first; members share slot time
//! at equal priority; then older tasks go first, over all lanes that the worker may serve.

mod lanes;
mod members;

use std::collections::{HashMap, VecDeque};

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, TaskId, UserId};
use mitosis_protocol::{Epoch, Timestamp};

use super::room::Room;
use crate::StoreError;
use crate::db::Db;
use crate::exchange_plan::Eligibility;
use crate::fairness::SharedFairShare;
use lanes::{Lane, lanes_of};

/// A Ready task. The order of the fields is the order of service among the tasks of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ready {
    pub(crate) neg_priority: i32,
    pub(crate) task: TaskId,
    pub(crate) lane: LaneId,
    pub(crate) creator: UserId,
    pub(crate) limits: Option<LimitSetId>,
    pub(crate) epoch: Epoch,
    pub(crate) losses: i64,
}

/// The lanes that some workers may serve, by their groups.
type Lanes = Vec<(GroupId, Vec<Lane>)>;

/// What may be assigned in one transaction: the lanes for each eligibility, and the room in their limits, which are locked.
#[derive(Debug)]
pub(crate) struct Queues {
    of_each: Vec<Lanes>,
    room: Room,
}

impl Queues {
    /// Reads the lanes for each eligibility, and locks the limits that their tasks use.
    pub(crate) async fn read(db: Db<'_>, who: &[&Eligibility]) -> Result<Self, StoreError> {
        let mut of_each = Vec::with_capacity(who.len());
        for who in who {
            of_each.push(lanes_of(db, who).await?);
        }
        let limits = of_each.iter().flatten().flat_map(|(_, lanes)| lanes).filter_map(|lane| lane.limits);
        let room = Room::lock(db, &limits.collect::<Vec<_>>()).await?;
        for (_, lanes) in of_each.iter_mut().flatten() {
            lanes.retain(|lane| room.fits(lane.limits) > 0);
        }
        for lanes in &mut of_each {
            lanes.retain(|(_, lanes)| !lanes.is_empty());
        }
        Ok(Self { of_each, room })
    }

    /// Locks the next tasks for an eligibility, by its position, at most `count`, in the order of service. A group with fewer
    /// tasks than its share leaves the rest to the others.
    pub(crate) async fn select(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        which: usize,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Ready>, StoreError> {
        let lanes = &self.of_each[which];
        let mut open: Vec<GroupId> = lanes.iter().map(|(group, _)| *group).collect();
        let mut selected: HashMap<GroupId, VecDeque<Ready>> = HashMap::new();
        let mut missing = count;
        while missing > 0 && !open.is_empty() {
            let mut short = Vec::new();
            for (group, share) in shares.shares(&open, missing, now) {
                // The result includes the tasks that are already locked, and further ones.
                let wanted = selected.get(&group).map_or(0, VecDeque::len) + share;
                let Some((_, of_group)) = lanes.iter().find(|(known, _)| *known == group) else { continue };
                let from = members::Source { db, shares, group, now };
                let first = from.first(of_group, wanted, self.room.clone()).await?;
                if first.len() < wanted {
                    short.push(group);
                }
                selected.insert(group, first.into());
            }
            missing = count.saturating_sub(selected.values().map(VecDeque::len).sum());
            // A group whose turn has not come yet stays.
            open.retain(|group| !short.contains(group));
        }
        let of_groups = lanes.iter().filter_map(|(group, _)| Some((*group, selected.remove(group)?)));
        let merged = shares.merge(of_groups.collect(), count, now);
        for ready in &merged {
            self.room.take(ready.limits);
        }
        Ok(merged)
    }
}
