//! What an exchange of many agents comes to, as far as it can be told without a database.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::tags::Words;
use mitosis_domain::turns::deal;
use mitosis_protocol::worker::WorkerState;

use crate::ops::dispatch::{Class, Exchange, Verdict, Work};
use crate::shared::workers::LockedWorker;

/// What a worker may run: tasks of these groups whose tags are all among these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Eligibility {
    pub(crate) groups: Vec<GroupId>,
    pub(crate) tags: Words,
}

impl Eligibility {
    /// Its name outside the store.
    pub(crate) fn class(&self) -> Class {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Class(hasher.finish())
    }
}

/// A worker of a batch, which stays as it is until the end of the transaction, and what it may run.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) worker: LockedWorker,
    pub(crate) eligibility: Eligibility,
}

/// Agents of a batch that may run the same. They are served together, so that a few tasks are spread over
/// many agents.
#[derive(Debug, Default)]
pub(crate) struct EligibilityGroup {
    places: Vec<usize>,
    wants: Vec<usize>,
}

impl EligibilityGroup {
    /// How many tasks they would take.
    pub(crate) fn want(&self) -> usize {
        self.wants.iter().sum()
    }

    /// Who gets each of so many tasks, by its place in the batch.
    pub(crate) fn distribute(&self, count: usize) -> Vec<usize> {
        deal(&self.wants, count).into_iter().map(|who| self.places[who]).collect()
    }
}

/// Those who are to be given tasks, by what they may run. `known` tells what is true of a worker. Who can run
/// least comes first, so that the others are left what only they can run.
pub(crate) fn eligibility_groups<'a>(
    batch: &[Exchange],
    known: impl Fn(WorkerId) -> Option<(WorkerState, &'a Eligibility)>,
) -> Vec<(&'a Eligibility, EligibilityGroup)> {
    let mut eligibility_groups: BTreeMap<_, EligibilityGroup> = BTreeMap::new();
    for (place, one) in batch.iter().enumerate() {
        if let Some((WorkerState::Normal, eligibility)) = known(one.worker)
            && one.want > 0
        {
            let group = eligibility_groups.entry(eligibility).or_default();
            group.places.push(place);
            group.wants.push(one.want);
        }
    }
    let mut eligibility_groups: Vec<_> = eligibility_groups.into_iter().collect();
    eligibility_groups
        .sort_by_key(|(eligibility, _)| (eligibility.tags.iter().count(), eligibility.groups.len()));
    eligibility_groups
}

/// What an exchange means for a worker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerUpdate {
    /// It took or ended something, and so has changed.
    Touch,
    /// It was to stop after its last task, and may have come to that.
    RemoveIfDrained,
}

/// What follows for the workers of a batch; nothing for those that are left out.
pub(crate) fn worker_updates(
    batch: &[Exchange],
    state: impl Fn(WorkerId) -> Option<WorkerState>,
    verdicts: &[Vec<Verdict>],
    given: &HashMap<usize, Vec<Work>>,
) -> Vec<(WorkerId, WorkerUpdate)> {
    let of_one = |(place, one): (usize, &Exchange)| {
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
    use uuid::Uuid;

    use super::*;

    fn one(worker: i64, want: usize) -> Exchange {
        Exchange { worker: WorkerId(worker), ended: vec![], returned: vec![], want, token: 1 }
    }

    #[test]
    fn those_who_may_run_the_same_share_what_there_is() {
        let of = |tags: &[&str]| Eligibility {
            groups: vec![GroupId(1)],
            tags: Words::new(tags.iter().map(ToString::to_string)).unwrap(),
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
        assert_eq!((*first, *second), (&plain, &gpu), "who can run least comes first");
        assert_eq!((of_plain.want(), of_plain.distribute(5)), (6, vec![0, 2, 0, 2, 2]));
        assert_eq!((of_gpu.want(), of_gpu.distribute(0)), (1, vec![]));
        assert_ne!(plain.class(), gpu.class());
    }

    #[test]
    fn only_a_worker_that_did_something_has_changed_and_only_one_that_is_to_stop_may_go() {
        let key = LeaseKey { task: TaskId(1), epoch: 1, token: 1 };
        let mut batch = [one(1, 1), one(2, 1), one(3, 1), one(4, 0), one(5, 0), one(6, 0)];
        batch[4].returned = vec![key];
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
