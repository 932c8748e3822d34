//! The next tasks of one group, which its members share at equal priority.

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;

use super::super::room::Room;
use super::Ready;
use super::lanes::{ANY_PRIORITY, Lane, first_of_lanes};
use crate::StoreError;
use crate::db::Db;
use crate::fairness::SharedFairShare;

/// Where the tasks of a group come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) db: Db<'a>,
    pub(super) shares: &'a SharedFairShare,
    pub(super) group: GroupId,
    pub(super) now: Timestamp,
}

/// A member with waiting tasks.
struct Member {
    creator: UserId,
    lanes: Vec<Lane>,
    /// The priority of the next task, as it is stored.
    neg_priority: i32,
    /// The tasks of this priority that were selected.
    selected: Vec<Ready>,
}

impl Source<'_> {
    /// Locks the first `count` tasks in the order of service, as far as there is room.
    pub(super) async fn first(
        self,
        lanes: &[Lane],
        count: usize,
        mut room: Room,
    ) -> Result<Vec<Ready>, StoreError> {
        let mut members = by_creator(lanes);
        if let [_] = members[..] {
            return first_of_lanes(self.db, lanes, ANY_PRIORITY, count, &mut room).await;
        }
        let mut first = Vec::new();
        while first.len() < count
            && let Some(level) = members.iter().map(|member| member.neg_priority).min()
        {
            let (mut at_level, others): (Vec<_>, Vec<_>) =
                members.into_iter().partition(|member| member.neg_priority == level);
            self.select(&mut at_level, level, count - first.len(), &mut room).await?;
            first.extend(self.in_turn(&mut at_level));
            members = others;
            if first.len() < count {
                members.extend(self.after(at_level, level, &room).await?);
            }
        }
        Ok(first)
    }

    /// Selects tasks of one priority, at most `count`. A member with fewer tasks than the share leaves the rest to the others.
    async fn select(
        self,
        members: &mut [Member],
        level: i32,
        count: usize,
        room: &mut Room,
    ) -> Result<(), StoreError> {
        let mut open: Vec<usize> = (0..members.len()).collect();
        let mut missing = count;
        while missing > 0 && !open.is_empty() {
            let creators: Vec<UserId> = open.iter().map(|place| members[*place].creator).collect();
            let mut short = Vec::new();
            for (place, share) in self.shares.shares_of_members(self.group, &creators, missing, self.now) {
                let member = &mut members[open[place]];
                // The result includes the tasks that are already locked, and further ones.
                let wanted = member.selected.len() + share;
                member.selected.drain(..).for_each(|ready| room.give_back(ready.demand));
                member.selected = first_of_lanes(self.db, &member.lanes, level..=level, wanted, room).await?;
                if member.selected.len() < wanted {
                    short.push(open[place]);
                }
            }
            missing = count.saturating_sub(members.iter().map(|member| member.selected.len()).sum());
            // A member whose turn has not come yet stays.
            open.retain(|place| !short.contains(place));
        }
        Ok(())
    }

    /// Takes the selected tasks in the order in which the members are served.
    fn in_turn(self, members: &mut [Member]) -> Vec<Ready> {
        let queues: Vec<(UserId, usize)> =
            members.iter().map(|member| (member.creator, member.selected.len())).collect();
        let mut selected: Vec<_> =
            members.iter_mut().map(|member| std::mem::take(&mut member.selected).into_iter()).collect();
        let order = self.shares.order_of_members(self.group, &queues, self.now);
        order.into_iter().filter_map(|place| selected[place].next()).collect()
    }

    /// The members with tasks of smaller priority, after all of this one were selected.
    async fn after(self, members: Vec<Member>, level: i32, room: &Room) -> Result<Vec<Member>, StoreError> {
        let (mut left, Some(next)) = (Vec::new(), level.checked_add(1)) else { return Ok(Vec::new()) };
        for member in members {
            let rest = next..=*ANY_PRIORITY.end();
            let first = first_of_lanes(self.db, &member.lanes, rest, 1, &mut room.clone()).await?;
            if let Some(first) = first.first() {
                left.push(Member { neg_priority: first.neg_priority, ..member });
            }
        }
        Ok(left)
    }
}

/// The members, each with the lanes of their tasks.
fn by_creator(lanes: &[Lane]) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for lane in lanes {
        match members.iter_mut().find(|member| member.creator == lane.creator) {
            Some(member) => {
                member.lanes.push(*lane);
                member.neg_priority = member.neg_priority.min(lane.neg_priority);
            }
            None => members.push(Member {
                creator: lane.creator,
                lanes: vec![*lane],
                neg_priority: lane.neg_priority,
                selected: Vec::new(),
            }),
        }
    }
    members
}
