//! Reserves workers for tasks that would be starved by smaller ones.
//!
//! Small tasks fill every gap, so a task that needs most of a worker would never find one free. The first task of a
//! member that has waited for [`RESERVE_AFTER`] although it is its turn gets a worker reserved: what it requests there is
//! kept free as running tasks end, and others may only use what exceeds that. At most half of the workers of a group are
//! reserved at once (at least one), and a reservation lasts until the task starts. So what is idle is bounded by what these
//! tasks request, for as long as the tasks run that were there before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mitosis_protocol::{ResourceOffer, ResourceRequest, Timestamp};

use crate::ids::{LaneId, WorkerId};
use crate::resources::{Free, can_serve};

/// How long the first task waits before a worker is reserved for it.
pub const RESERVE_AFTER: Duration = Duration::from_secs(10);

/// A lane whose first task waits for a worker that has enough of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starved {
    /// The lane.
    pub lane: LaneId,
    /// Since when its first task waits.
    pub since: Timestamp,
    /// What each of its tasks requests.
    pub request: ResourceRequest,
    /// The workers that may run its tasks.
    pub eligible: BTreeSet<WorkerId>,
}

/// A worker, with the tasks that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyWorker {
    /// The worker.
    pub id: WorkerId,
    /// What it offers.
    pub offer: ResourceOffer,
    /// What its tasks request, the oldest task first.
    pub held: Vec<ResourceRequest>,
}

/// How many of its tasks have to end before a task fits, if the oldest end first. None if it never fits.
pub fn ends_until_fit(worker: &BusyWorker, request: &ResourceRequest) -> Option<usize> {
    if !can_serve(&worker.offer, request) {
        return None;
    }
    let mut free = Free::of(&worker.offer);
    worker.held.iter().for_each(|held| free.take(held, 1));
    let mut ends = 0;
    for held in &worker.held {
        if free.fits(request) > 0 {
            break;
        }
        free.give_back(held);
        ends += 1;
    }
    Some(ends)
}

/// Decides which workers are reserved, and for which lanes. Lanes that have waited longest come first. An existing
/// reservation is kept as long as it is useful, since the worker has been emptied for it; a new one is for the worker on
/// which the fewest tasks have to end.
pub fn reserve(
    starved: &[Starved],
    workers: &[BusyWorker],
    existing: &BTreeMap<LaneId, WorkerId>,
) -> BTreeMap<LaneId, WorkerId> {
    let mut reserved: BTreeMap<LaneId, WorkerId> = BTreeMap::new();
    let mut taken: BTreeSet<WorkerId> = BTreeSet::new();
    let mut starved: Vec<&Starved> = starved.iter().collect();
    starved.sort_by_key(|lane| (lane.since, lane.lane.0));
    let serving = |lane: &Starved, worker: &BusyWorker| {
        lane.eligible.contains(&worker.id) && can_serve(&worker.offer, &lane.request)
    };
    for lane in &starved {
        // Half of those that may run its tasks, at least one, so that the others are served meanwhile.
        let eligible = workers.iter().filter(|worker| lane.eligible.contains(&worker.id)).count();
        let is_taken = |worker: &&WorkerId| lane.eligible.contains(*worker);
        if taken.iter().filter(is_taken).count() >= (eligible / 2).max(1) {
            continue;
        }
        let kept = existing.get(&lane.lane).and_then(|worker| {
            workers
                .iter()
                .find(|other| other.id == *worker && !taken.contains(worker) && serving(lane, other))
        });
        let chosen = kept.or_else(|| {
            let free = workers.iter().filter(|worker| !taken.contains(&worker.id) && serving(lane, worker));
            free.min_by_key(|worker| (ends_until_fit(worker, &lane.request), worker.id.0))
        });
        if let Some(worker) = chosen {
            taken.insert(worker.id);
            reserved.insert(lane.lane, worker.id);
        }
    }
    reserved
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Cpus;

    use super::*;

    fn cpus(number: usize) -> ResourceRequest {
        ResourceRequest { cpus: Cpus::whole(number), ..ResourceRequest::default() }
    }

    fn worker(id: i64, size: usize, held: &[usize]) -> BusyWorker {
        let offer = ResourceOffer {
            cpus: Cpus::whole(size),
            memory: 0,
            gpus: 0,
            gpu_model: None,
            named: BTreeMap::new(),
            tasks: 64,
        };
        BusyWorker { id: WorkerId(id), offer, held: held.iter().copied().map(cpus).collect() }
    }

    fn starved(lane: i64, size: usize, since: i64, eligible: &[i64]) -> Starved {
        Starved {
            lane: LaneId(lane),
            since: Timestamp::from_unix_micros(since),
            request: cpus(size),
            eligible: eligible.iter().copied().map(WorkerId).collect(),
        }
    }

    fn pairs(reserved: &BTreeMap<LaneId, WorkerId>) -> Vec<(i64, i64)> {
        reserved.iter().map(|(lane, worker)| (lane.0, worker.0)).collect()
    }

    #[test]
    fn worker_on_which_the_fewest_tasks_have_to_end_is_reserved() {
        let workers = [worker(1, 8, &[1, 1, 1, 1, 4]), worker(2, 8, &[4, 4]), worker(3, 4, &[])];
        assert_eq!(
            workers.each_ref().map(|worker| ends_until_fit(worker, &cpus(4))),
            [Some(4), Some(1), Some(0)]
        );
        assert_eq!(
            workers.each_ref().map(|worker| ends_until_fit(worker, &cpus(8))),
            [Some(5), Some(2), None]
        );
        let none = BTreeMap::new();
        assert_eq!(pairs(&reserve(&[starved(7, 8, 0, &[1, 2, 3])], &workers, &none)), [(7, 2)]);
        assert_eq!(pairs(&reserve(&[starved(7, 8, 0, &[1, 3])], &workers, &none)), [(7, 1)]);
        assert!(reserve(&[starved(7, 9, 0, &[1, 2, 3])], &workers, &none).is_empty());
    }

    #[test]
    fn reservation_stays_while_its_lane_waits() {
        let workers = [worker(1, 8, &[1, 1]), worker(2, 8, &[1])];
        let existing = BTreeMap::from([(LaneId(7), WorkerId(1))]);
        assert_eq!(pairs(&reserve(&[starved(7, 8, 0, &[1, 2])], &workers, &existing)), [(7, 1)]);
        assert_eq!(pairs(&reserve(&[starved(7, 8, 0, &[2])], &workers, &existing)), [(7, 2)]);
        assert!(reserve(&[], &workers, &existing).is_empty());
    }

    #[test]
    fn at_most_half_of_the_workers_are_reserved() {
        let workers: Vec<BusyWorker> = (1..=5).map(|id| worker(id, 8, &[1])).collect();
        let lanes: Vec<Starved> = (1..=5).map(|lane| starved(lane, 8, 10 - lane, &[1, 2, 3, 4, 5])).collect();
        let reserved = reserve(&lanes, &workers, &BTreeMap::new());
        assert_eq!(pairs(&reserved), [(4, 2), (5, 1)], "those that wait longest");
        let alone = reserve(&lanes, &workers[..1], &BTreeMap::new());
        assert_eq!(pairs(&alone), [(5, 1)]);
    }

    /// A simulated fleet in steps of a second: each second, ended tasks are replaced by waiting ones in their order, and small
    /// ones fill the gaps.
    struct Fleet {
        workers: Vec<BusyWorker>,
        ends: Vec<Vec<u64>>,
        reserved: BTreeMap<LaneId, WorkerId>,
    }

    const LARGE: LaneId = LaneId(1);

    impl Fleet {
        fn new(count: i64) -> Self {
            let workers: Vec<BusyWorker> = (1..=count).map(|id| worker(id, 8, &[])).collect();
            Self { ends: vec![Vec::new(); workers.len()], workers, reserved: BTreeMap::new() }
        }

        /// Starts tasks of a size while they fit beside what is reserved for others; returns their number.
        fn fill(
            &mut self,
            size: usize,
            is_large: bool,
            most: usize,
            mut until: impl FnMut() -> u64,
        ) -> usize {
            let mut started = 0;
            for (worker, ends) in self.workers.iter_mut().zip(&mut self.ends) {
                let mut free = Free::of(&worker.offer);
                worker.held.iter().for_each(|held| free.take(held, 1));
                if !is_large && self.reserved.get(&LARGE) == Some(&worker.id) {
                    free.reserve(&cpus(8));
                }
                while started < most && free.fits(&cpus(size)) > 0 {
                    free.take(&cpus(size), 1);
                    worker.held.push(cpus(size));
                    ends.push(until());
                    started += 1;
                }
            }
            started
        }

        fn end(&mut self, second: u64) {
            for (worker, ends) in self.workers.iter_mut().zip(&mut self.ends) {
                let keep: Vec<bool> = ends.iter().map(|end| *end > second).collect();
                let mut each = keep.iter();
                worker.held.retain(|_| *each.next().unwrap());
                ends.retain(|end| *end > second);
            }
        }

        fn idle(&self) -> usize {
            let used = |worker: &BusyWorker| -> u32 {
                worker.held.iter().map(|held| held.cpus.thousandths() / 1_000).sum()
            };
            self.workers.iter().map(|worker| 8 - used(worker) as usize).sum()
        }
    }

    /// Endless small tasks of 5 to 30 seconds, and ten tasks that need a whole worker. Answers when each of these started and
    /// the processor seconds that were idle.
    fn simulate(workers: i64, reserves: bool) -> (Vec<u64>, usize) {
        let mut fleet = Fleet::new(workers);
        let (mut started, mut idle, mut number) = (Vec::new(), 0, 0_u64);
        let all: Vec<i64> = (1..=workers).collect();
        let mut since = 0;
        for second in 0..1_000 {
            fleet.end(second);
            if started.len() < 10 && second >= 60 {
                if fleet.fill(8, true, 1, || second + 20) == 1 {
                    started.push(second);
                    since = second;
                }
                let waits = second - since.max(60) >= RESERVE_AFTER.as_secs() || !started.is_empty();
                if reserves && waits && started.len() < 10 {
                    let lanes = [starved(LARGE.0, 8, 0, &all)];
                    fleet.reserved = reserve(&lanes, &fleet.workers, &fleet.reserved);
                }
            }
            if started.len() == 10 {
                fleet.reserved.clear();
            }
            fleet.fill(1, false, usize::MAX, || {
                number += 1;
                second + 5 + number * 7 % 26
            });
            idle += fleet.idle();
        }
        (started, idle)
    }

    /// A large task waits for the reservation, and then at most for the longest task that runs on the reserved worker. What is
    /// idle meanwhile is at most that worker.
    #[test]
    fn large_tasks_start_among_endless_small_ones() {
        let (starved, _) = simulate(6, false);
        assert!(starved.is_empty(), "without reservations, they wait forever: {starved:?}");
        for workers in [1, 6] {
            let (started, idle) = simulate(workers, true);
            assert_eq!(started.len(), 10);
            let mut before = 60;
            for start in &started {
                let most = RESERVE_AFTER.as_secs() + 31 + 20;
                assert!(start - before <= most, "one waited from {before} to {start}");
                before = *start;
            }
            assert!(idle <= 10 * 31 * 8, "{idle} processor seconds were idle");
        }
    }
}
