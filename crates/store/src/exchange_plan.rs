//! The part of an exchange with many agents that needs no database.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use mitosis_domain::fairness::distribute;
use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::tags::TagSet;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::WorkerState;

use crate::ops::dispatch::{Class, Exchange, Verdict, Work};
use crate::shared::workers::LockedWorker;

/// What a worker may run: tasks of these groups whose tags are a subset of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Eligibility {
    pub(crate) groups: Vec<GroupId>,
    pub(crate) tags: TagSet,
}

impl Eligibility {
    /// The identifier of this eligibility outside the store.
    pub(crate) fn class(&self) -> Class {
        self.class_with(&())
    }

    /// The identifier of this eligibility together with what else matters.
    pub(crate) fn class_with(&self, other: &impl Hash) -> Class {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        other.hash(&mut hasher);
        Class(hasher.finish())
    }
}

/// A worker in a batch, with what it may run. Its row is locked until the end of the transaction.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) worker: LockedWorker,
    pub(crate) eligibility: Eligibility,
    /// What it offers, as JSON; none if it runs only tasks of the default request.
    pub(crate) offer: Option<String>,
    /// When it stops to run tasks.
    pub(crate) ends_at: Option<Timestamp>,
}

/// Agents in a batch with equal eligibility. They are served together, so that a few tasks are spread over many
/// agents.
#[derive(Debug, Default)]
pub(crate) struct EligibilityGroup {
    places: Vec<usize>,
    wants: Vec<usize>,
}

impl EligibilityGroup {
    /// Adds the agent at a position of the batch.
    pub(crate) fn add(&mut self, place: usize, want: usize) {
        self.places.push(place);
        self.wants.push(want);
    }

    /// The positions of its agents in the batch.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// The number of tasks that these agents want together.
    pub(crate) fn want(&self) -> usize {
        self.wants.iter().sum()
    }

    /// Distributes `count` tasks. Returns the position in the batch of the agent that gets each.
    pub(crate) fn distribute(&self, count: usize) -> Vec<usize> {
        distribute(&self.wants, count).into_iter().map(|who| self.places[who]).collect()
    }
}

/// Groups the agents that want tasks by their eligibility. `known` returns the state and the eligibility of a
/// registered worker. The most restricted group comes first, since the others have more tasks to choose from.
pub(crate) fn eligibility_groups<'a>(
    batch: &[Arc<Exchange>],
    known: impl Fn(WorkerId) -> Option<(WorkerState, &'a Eligibility)>,
) -> Vec<(&'a Eligibility, EligibilityGroup)> {
    let mut eligibility_groups: BTreeMap<_, EligibilityGroup> = BTreeMap::new();
    for (place, one) in batch.iter().enumerate() {
        if let Some((WorkerState::Normal, eligibility)) = known(one.worker)
            && (one.want > 0 || one.has_room)
        {
            eligibility_groups.entry(eligibility).or_default().add(place, one.want);
        }
    }
    let mut eligibility_groups: Vec<_> = eligibility_groups.into_iter().collect();
    eligibility_groups
        .sort_by_key(|(eligibility, _)| (eligibility.tags.iter().count(), eligibility.groups.len()));
    eligibility_groups
}

/// What an exchange changes about the worker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerUpdate {
    /// The worker claimed or ended something, so its row is updated.
    Touch,
    /// The worker is draining, and is removed if this was its last task.
    RemoveIfDrained,
}

/// The updates of the workers in a batch. A worker without an update is left out.
pub(crate) fn worker_updates(
    batch: &[Arc<Exchange>],
    state: impl Fn(WorkerId) -> Option<WorkerState>,
    verdicts: &[Vec<Verdict>],
    given: &HashMap<usize, Vec<Work>>,
) -> Vec<(WorkerId, WorkerUpdate)> {
    let of_one = |(place, one): (usize, &Arc<Exchange>)| {
        let ended = verdicts[place].iter().any(|verdict| matches!(verdict, Verdict::Committed(_)));
        let update = match state(one.worker)? {
            WorkerState::Normal if ended || given.contains_key(&place) => WorkerUpdate::Touch,
            WorkerState::GracefulShutdown if ended || !one.returned.is_empty() => {
                WorkerUpdate::RemoveIfDrained
            }
            WorkerState::Normal | WorkerState::GracefulShutdown => return None,
        };
        Some((one.worker, update))
    };
    batch.iter().enumerate().filter_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use mitosis_domain::ids::TaskId;
    use mitosis_domain::task::LeaseKey;
    use mitosis_protocol::{Epoch, LeaseToken};
    use uuid::Uuid;

    use super::*;

    fn one(worker: i64, want: usize) -> Arc<Exchange> {
        Arc::new(Exchange {
            worker: WorkerId(worker),
            ended: vec![],
            returned: vec![],
            want,
            has_room: false,
            token: LeaseToken(1),
        })
    }

    #[test]
    fn agents_of_equal_eligibility_share_tasks() {
        let of = |tags: &[&str]| Eligibility {
            groups: vec![GroupId(1)],
            tags: TagSet::new(tags.iter().map(ToString::to_string)).unwrap(),
        };
        let (plain, gpu) = (of(&[]), of(&["gpu"]));
        let batch = [one(1, 2), one(2, 1), one(3, 4), one(4, 0), one(5, 9)];
        let known = |worker: WorkerId| match worker.0 {
            2 => Some((WorkerState::Normal, &gpu)),
            5 => Some((WorkerState::GracefulShutdown, &plain)),
            _ => Some((WorkerState::Normal, &plain)),
        };
        let eligibility_groups = eligibility_groups(&batch, known);
        let [(first, of_plain), (second, of_gpu)] = &eligibility_groups[..] else {
            panic!("{eligibility_groups:?}")
        };
        assert_eq!((*first, *second), (&plain, &gpu), "the most restricted group comes first");
        assert_eq!((of_plain.want(), of_plain.distribute(5)), (6, vec![0, 2, 0, 2, 2]));
        assert_eq!((of_gpu.want(), of_gpu.distribute(0)), (1, vec![]));
        assert_ne!(plain.class(), gpu.class());
    }

    /// Only a worker that did something has changed, and only a draining worker may be removed.
    #[test]
    fn updates_follow_from_what_a_worker_did() {
        let key = LeaseKey { task: TaskId(1), epoch: Epoch::FIRST, token: LeaseToken(1) };
        let mut batch = [one(1, 1), one(2, 1), one(3, 1), one(4, 0), one(5, 0), one(6, 0)];
        Arc::make_mut(&mut batch[4]).returned = vec![key];
        let state = |worker: WorkerId| match worker.0 {
            6 => None,
            4 | 5 => Some(WorkerState::GracefulShutdown),
            _ => Some(WorkerState::Normal),
        };
        let committed = vec![Verdict::Committed(Uuid::nil())];
        let verdicts = [committed.clone(), vec![Verdict::Stale], vec![], vec![], vec![], committed];
        let given = HashMap::from([(2, vec![])]);
        let expected = [
            (WorkerId(1), WorkerUpdate::Touch),
            (WorkerId(3), WorkerUpdate::Touch),
            (WorkerId(5), WorkerUpdate::RemoveIfDrained),
        ];
        assert_eq!(worker_updates(&batch, state, &verdicts, &given), expected);
    }
}
