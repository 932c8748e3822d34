//! The choice of the next tasks. Groups share slot time. Within a group, larger priority goes first; members share slot time
//! at equal priority; then older tasks go first, over all lanes that the worker may serve.

mod lanes;
mod members;

use std::collections::{BTreeSet, HashMap, VecDeque};

use mitosis_domain::ids::{GroupId, RequestId, TaskId, UserId};
use mitosis_protocol::{Epoch, Timestamp};

use super::agent_room::AgentRoom;
use super::room::{Demand, Room};
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
    pub(crate) creator: UserId,
    pub(crate) demand: Demand,
    pub(crate) epoch: Epoch,
    pub(crate) losses: i64,
}

/// The largest number of tasks that an agent gets at once, if it is served by itself.
const MOST_OF_ONE: usize = 512;

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
        let limits =
            of_each.iter().flatten().flat_map(|(_, lanes)| lanes).filter_map(|lane| lane.demand.limits);
        let room = Room::lock(db, &limits.collect::<Vec<_>>()).await?;
        for lanes in &mut of_each {
            retain(lanes, |lane| room.fits(lane.demand) > 0);
        }
        Ok(Self { of_each, room })
    }

    /// The requests of the lanes for an eligibility, by its position.
    pub(super) fn requests(&self, which: usize) -> BTreeSet<RequestId> {
        self.of_each[which]
            .iter()
            .flat_map(|(_, lanes)| lanes)
            .filter_map(|lane| lane.demand.request)
            .collect()
    }

    /// Locks the first task for the first eligibility, whatever it requests.
    pub(crate) async fn first(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        now: Timestamp,
    ) -> Result<Vec<Ready>, StoreError> {
        self.select(db, shares, 0, 1, now).await
    }

    /// Locks the next tasks for an eligibility, by its position, at most `count`, in the order of service.
    pub(super) async fn select(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        which: usize,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Ready>, StoreError> {
        select_from(db, shares, &self.of_each[which], &mut self.room, count, now).await
    }

    /// The same, without tasks that request anything but the default.
    pub(super) async fn select_default(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        which: usize,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<Ready>, StoreError> {
        let mut lanes = self.of_each[which].clone();
        retain(&mut lanes, |lane| lane.demand.request.is_none());
        select_from(db, shares, &lanes, &mut self.room, count, now).await
    }

    /// The same, for the worker of one agent: as many as fit. The room on the worker is returned as it is then.
    pub(super) async fn select_for(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        which: usize,
        agent: AgentRoom,
        now: Timestamp,
    ) -> Result<(Vec<Ready>, AgentRoom), StoreError> {
        let most = agent.free.tasks().min(MOST_OF_ONE);
        self.room.agent = Some(agent);
        let mut lanes = self.of_each[which].clone();
        retain(&mut lanes, |lane| self.room.fits(lane.demand) > 0);
        let fits = lanes.iter().flat_map(|(_, lanes)| lanes).map(|lane| self.room.fits(lane.demand));
        let count = fits.fold(0, usize::saturating_add).min(most);
        let selected = select_from(db, shares, &lanes, &mut self.room, count, now).await?;
        Ok((selected, self.room.agent.take().expect("the selection keeps the agent")))
    }
}

fn retain(lanes: &mut Lanes, fits: impl Fn(&Lane) -> bool) {
    for (_, lanes) in lanes.iter_mut() {
        lanes.retain(&fits);
    }
    lanes.retain(|(_, lanes)| !lanes.is_empty());
}

/// Locks the next tasks of lanes. A group with fewer tasks than its share leaves the rest to the others.
async fn select_from(
    db: Db<'_>,
    shares: &SharedFairShare,
    lanes: &Lanes,
    room: &mut Room,
    count: usize,
    now: Timestamp,
) -> Result<Vec<Ready>, StoreError> {
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
            let first = from.first(of_group, wanted, room.clone()).await?;
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
    // Together, the groups may have selected more than the worker has room for.
    Ok(shares.merge(of_groups.collect(), count, now, |ready| room.take(ready.demand)))
}
