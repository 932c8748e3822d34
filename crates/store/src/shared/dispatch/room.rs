//! How much of the named limits may still be used, and what is free on the worker that is served.
//!
//! What is in use is counted from the leases, so no attempt that ends in whatever way has to be recorded. A claim locks the
//! limits whose tasks it may take before it counts, and inserts its leases in the same transaction. So the leases of a limit
//! never exceed its value.

use std::collections::HashMap;

use mitosis_domain::ids::{LaneId, LimitId, LimitSetId, RequestId};

use super::agent_room::AgentRoom;
use crate::StoreError;
use crate::db::{Db, List, Sql, sql};

/// What a task takes when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Demand {
    pub(crate) lane: LaneId,
    pub(crate) limits: Option<LimitSetId>,
    /// None for the default request.
    pub(crate) request: Option<RequestId>,
}

/// The room in the limits of some sets, and on a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// What a task of each set uses.
    uses: HashMap<LimitSetId, Vec<(LimitId, i64)>>,
    /// How much of each limit is free; negative after the limit was lowered.
    free: HashMap<LimitId, i64>,
    /// The room on the worker that is served; none if it does not matter.
    pub(super) agent: Option<AgentRoom>,
}

/// How much of the limit `l` is in use.
macro_rules! in_use {
    () => {
        "coalesce((SELECT sum(held.uses) FROM limit_set_use held JOIN lease ON lease.limit_set_id = held.set_id
                   WHERE held.limit_id = l.id), 0)::bigint"
    };
}
pub(crate) use in_use;

const ROOM: Sql = sql!(concat!(
    "
    SELECT u.set_id, u.limit_id, u.uses, coalesce(l.value, 0) - ",
    in_use!(),
    " AS free
    FROM limit_set_use u INNER JOIN named_limit l ON l.id = u.limit_id
    WHERE u.set_id = ANY($1)"
));

/// The order prevents deadlocks.
const LOCK: &str = "SELECT 1 FROM named_limit WHERE id = ANY($1) ORDER BY id FOR UPDATE";

impl Room {
    /// Locks the limits of those sets of which a task fits. The others have no room until the end of the transaction.
    pub(crate) async fn lock(db: Db<'_>, sets: &[LimitSetId]) -> Result<Self, StoreError> {
        if sets.is_empty() {
            return Ok(Self::default());
        }
        let mut sets: Vec<i64> = sets.iter().map(|set| set.0).collect();
        sets.sort_unstable();
        sets.dedup();
        let seen = Self::read(db, &sets).await?;
        sets.retain(|set| seen.fits_limits(Some(LimitSetId(*set))) > 0);
        if sets.is_empty() {
            return Ok(Self::default());
        }
        let limits = |set: &i64| seen.uses.get(&LimitSetId(*set)).into_iter().flatten();
        let limits: Vec<i64> = sets.iter().flat_map(limits).map(|(limit, _)| limit.0).collect();
        db.lock(LOCK, &[&List(&limits)]).await?;
        Self::read(db, &sets).await
    }

    /// Reads the room in the limits of sets, without a lock.
    pub(super) async fn peek(db: Db<'_>, sets: &[LimitSetId]) -> Result<Self, StoreError> {
        let sets: Vec<i64> = sets.iter().map(|set| set.0).collect();
        if sets.is_empty() { Ok(Self::default()) } else { Self::read(db, &sets).await }
    }

    async fn read(db: Db<'_>, sets: &[i64]) -> Result<Self, StoreError> {
        let rows: Vec<(LimitSetId, LimitId, i64, i64)> = db
            .all(ROOM, &[&List(sets)], |row| {
                let (set, limit) = (LimitSetId(row.value("set_id")?), LimitId(row.value("limit_id")?));
                Ok((set, limit, row.value("uses")?, row.value("free")?))
            })
            .await?;
        let mut room = Self::default();
        for (set, limit, uses, free) in rows {
            room.uses.entry(set).or_default().push((limit, uses));
            room.free.insert(limit, free);
        }
        Ok(room)
    }

    /// How many tasks fit.
    pub(crate) fn fits(&self, demand: Demand) -> usize {
        let of_agent = self.agent.as_ref().map_or(usize::MAX, |agent| agent.fits(demand));
        self.fits_limits(demand.limits).min(of_agent)
    }

    /// Whether a task may be left out because others take the room.
    pub(crate) fn is_bounded(&self, demand: Demand) -> bool {
        demand.limits.is_some() || self.agent.is_some()
    }

    /// How many tasks of a set fit; without a set, any number.
    pub(crate) fn fits_limits(&self, set: Option<LimitSetId>) -> usize {
        let Some(set) = set else { return usize::MAX };
        let Some(uses) = self.uses.get(&set) else { return 0 };
        let fits =
            |(limit, uses): &(LimitId, i64)| self.free.get(limit).copied().unwrap_or(0) / (*uses).max(1);
        let fits = uses.iter().map(fits).min().unwrap_or(0);
        usize::try_from(fits).unwrap_or(0)
    }

    /// Takes the room for one task, if it fits.
    pub(crate) fn take(&mut self, demand: Demand) -> bool {
        let fits = self.fits(demand) > 0;
        if fits {
            self.change(demand.limits, -1);
            if let Some(agent) = &mut self.agent {
                agent.take(demand);
            }
        }
        fits
    }

    /// Returns the room of a task that is not assigned.
    pub(crate) fn give_back(&mut self, demand: Demand) {
        self.change(demand.limits, 1);
        if let Some(agent) = &mut self.agent {
            agent.give_back(demand);
        }
    }

    fn change(&mut self, set: Option<LimitSetId>, factor: i64) {
        for (limit, uses) in set.and_then(|set| self.uses.get(&set)).into_iter().flatten() {
            *self.free.entry(*limit).or_default() += factor * uses;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    const NONE: Demand = Demand { lane: LaneId(1), limits: None, request: None };
    const ONE: Demand = Demand { limits: Some(LimitSetId(1)), ..NONE };
    const BOTH: Demand = Demand { limits: Some(LimitSetId(2)), ..NONE };

    fn room(free: [i64; 2]) -> Room {
        let [a, b] = [LimitId(1), LimitId(2)];
        Room {
            uses: HashMap::from([(LimitSetId(1), vec![(a, 1)]), (LimitSetId(2), vec![(a, 2), (b, 1)])]),
            free: HashMap::from([(a, free[0]), (b, free[1])]),
            agent: None,
        }
    }

    #[test]
    fn scarcest_limit_decides() {
        assert_eq!((room([5, 9]).fits(ONE), room([5, 9]).fits(BOTH)), (5, 2));
        assert_eq!((room([5, 0]).fits(ONE), room([5, 0]).fits(BOTH)), (5, 0));
        assert_eq!((room([-3, 9]).fits(ONE), room([1, 9]).fits(BOTH)), (0, 0));
        assert_eq!((Room::default().fits(ONE), Room::default().fits(NONE)), (0, usize::MAX));
    }

    #[test]
    fn task_takes_what_it_uses() {
        let mut room = room([4, 1]);
        assert!(room.take(BOTH) && !room.take(BOTH) && room.take(NONE));
        assert_eq!(room.fits(ONE), 2);
        room.give_back(BOTH);
        assert!(room.take(ONE) && room.take(BOTH) && room.take(ONE) && !room.take(ONE));
    }

    #[test]
    fn sqlite_reads_leases_by_their_sets() {
        assert_searches(ROOM, &["u", "l", "held", "lease"]);
    }
}
