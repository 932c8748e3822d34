//! What is free on the worker of an agent, and what of it each lane may use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::ids::{LaneId, RequestId, WorkerId};
use mitosis_domain::resources::Free;
use mitosis_protocol::ResourceRequest;

use super::room::{Demand, Room};

/// Requests by their ids.
pub(crate) type Requests = HashMap<RequestId, Arc<ResourceRequest>>;

/// What a worker may be given in one transaction.
#[derive(Debug, Clone)]
pub(crate) struct AgentRoom {
    pub(super) requests: Arc<Requests>,
    /// What its leases leave of what it offers.
    pub(super) free: Free,
    /// The lane for which it is reserved.
    pub(super) reserved: Option<Reserved>,
    /// How many tasks of the default request it wants.
    pub(super) want: usize,
    /// Whether it takes tasks with other requests.
    pub(super) has_room: bool,
    /// How long it runs tasks from now on.
    pub(super) time: Option<Duration>,
}

/// The reservation of a worker.
#[derive(Debug, Clone)]
pub(super) struct Reserved {
    pub(super) lane: LaneId,
    pub(super) request: Arc<ResourceRequest>,
    /// How many tasks of the lane it got.
    pub(super) taken: i64,
}

impl AgentRoom {
    /// How many tasks fit.
    pub(super) fn fits(&self, demand: Demand) -> usize {
        let Some(request) = self.request(demand) else { return 0 };
        let fits_time = self.time.is_none_or(|time| request.time.is_none_or(|needed| needed <= time));
        if !fits_time || (demand.request.is_some() && !self.has_room) {
            return 0;
        }
        let fits = match &self.reserved {
            Some(reserved) if reserved.taken == 0 && reserved.lane != demand.lane => {
                let mut free = self.free.clone();
                free.reserve(&reserved.request);
                free.fits(&request)
            }
            Some(_) | None => self.free.fits(&request),
        };
        if demand.request.is_none() { fits.min(self.want) } else { fits }
    }

    /// Takes the room of one task.
    pub(super) fn take(&mut self, demand: Demand) {
        self.change(demand, 1);
    }

    /// Returns the room of one task.
    pub(super) fn give_back(&mut self, demand: Demand) {
        self.change(demand, -1);
    }

    /// Whether the task for which it was reserved starts.
    pub(super) fn used_reservation(&self) -> bool {
        self.reserved.as_ref().is_some_and(|reserved| reserved.taken > 0)
    }

    /// What distinguishes this worker from others of its eligibility: if one of them gets no task, the others get none.
    pub(super) fn class_of<'a>(&'a self, offer: Option<&'a str>, worker: WorkerId) -> impl Hash + 'a {
        let reserved =
            self.reserved.as_ref().filter(|reserved| reserved.taken == 0).map(|reserved| reserved.lane);
        (offer, &self.free, reserved, self.time.map(|_| worker))
    }

    fn change(&mut self, demand: Demand, count: i64) {
        let Some(request) = self.request(demand) else { return };
        self.free.take(&request, count);
        if demand.request.is_none() {
            self.want = if count > 0 { self.want.saturating_sub(1) } else { self.want + 1 };
        }
        if let Some(reserved) = &mut self.reserved
            && reserved.lane == demand.lane
        {
            reserved.taken += count;
        }
    }

    fn request(&self, demand: Demand) -> Option<Arc<ResourceRequest>> {
        match demand.request {
            Some(id) => self.requests.get(&id).cloned(),
            None => Some(Arc::default()),
        }
    }
}

impl Room {
    /// The longest timeout in seconds of tasks that the worker may get, if that matters for a lane.
    pub(super) fn longest_timeout(&self, demand: Demand) -> Option<i64> {
        let agent = self.agent.as_ref()?;
        let time = agent.time?;
        let is_stated = agent.request(demand).is_some_and(|request| request.time.is_some());
        (!is_stated).then(|| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mitosis_protocol::{Cpus, ResourceOffer};

    use super::*;

    const SMALL: Demand = Demand { lane: LaneId(1), limits: None, request: None };
    const LARGE: Demand = Demand { lane: LaneId(2), limits: None, request: Some(RequestId(7)) };

    fn room(cpus: usize) -> AgentRoom {
        let offer = ResourceOffer {
            cpus: Cpus::whole(cpus),
            memory: 0,
            gpus: 0,
            gpu_model: None,
            named: BTreeMap::new(),
            tasks: 64,
        };
        let four = ResourceRequest { cpus: Cpus::whole(4), ..ResourceRequest::default() };
        let requests = Arc::new(HashMap::from([(RequestId(7), Arc::new(four))]));
        AgentRoom { requests, free: Free::of(&offer), reserved: None, want: 8, has_room: true, time: None }
    }

    #[test]
    fn each_task_takes_its_part() {
        let mut room = room(8);
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (8, 2));
        room.take(LARGE);
        room.take(SMALL);
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (3, 0));
        room.give_back(SMALL);
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (4, 1));
        room.has_room = false;
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (4, 0));
        room.want = 1;
        assert_eq!(room.fits(SMALL), 1);
    }

    #[test]
    fn others_get_what_exceeds_the_reservation_until_it_is_used() {
        let mut room = room(6);
        let request = Arc::clone(&room.requests[&RequestId(7)]);
        room.reserved = Some(Reserved { lane: LARGE.lane, request, taken: 0 });
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (2, 1));
        room.take(SMALL);
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (1, 1));
        room.take(LARGE);
        assert!(room.used_reservation());
        assert_eq!((room.fits(SMALL), room.fits(LARGE)), (1, 0));
    }

    #[test]
    fn task_that_outlasts_the_worker_does_not_fit() {
        let mut room = room(8);
        let long = ResourceRequest { time: Some(Duration::from_secs(60)), ..ResourceRequest::default() };
        room.requests = Arc::new(HashMap::from([(RequestId(7), Arc::new(long))]));
        assert_eq!(room.fits(LARGE), 8);
        room.time = Some(Duration::from_secs(60));
        assert_eq!(room.fits(LARGE), 8);
        room.time = Some(Duration::from_secs(59));
        assert_eq!((room.fits(LARGE), room.fits(SMALL)), (0, 8), "the timeout of each small task decides");
    }
}
