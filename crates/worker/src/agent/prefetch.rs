//! The queue of tasks that wait for a slot. They arrive in the order of service. An urgent task is placed
//! before other tasks of its group, so that prefetching doesn't delay it.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use mitosis_protocol::agent::{AssignedTask, AttemptRef};
use tokio::time::Instant;

use super::state::attempt_ref;

/// A task that has waited for a slot this long is returned to the coordinator.
pub(super) const PREFETCH_TIMEOUT: Duration = Duration::from_millis(150);

#[derive(Debug)]
struct Waiting {
    since: Instant,
    task: AssignedTask,
}

/// Tasks that wait for a slot. Within a group, a higher priority is served first.
#[derive(Debug, Default)]
pub(super) struct PrefetchQueue {
    tasks: VecDeque<Waiting>,
    slot_tasks: HashSet<AttemptRef>,
    /// No task has waited longer than since this moment.
    oldest: Option<Instant>,
    /// What the tasks request together, in thousandths of a processor.
    cpus: u64,
}

impl PrefetchQueue {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// What the waiting tasks request together, in thousandths of a processor.
    pub(super) const fn cpus(&self) -> u64 {
        self.cpus
    }

    pub(super) fn contains(&self, attempt: AttemptRef) -> bool {
        self.slot_tasks.contains(&attempt)
    }

    pub(super) fn slot_tasks(&self) -> impl Iterator<Item = AttemptRef> {
        self.slot_tasks.iter().copied()
    }

    /// Inserts a task behind all others, except those of its own group with a lower priority.
    pub(super) fn join(&mut self, task: AssignedTask, now: Instant) {
        let mut place = self.tasks.len();
        // A task never passes one of its own group that is at least as urgent.
        for (position, waiting) in self.tasks.iter().enumerate().rev() {
            if waiting.task.group != task.group {
                continue;
            }
            if waiting.task.priority >= task.priority {
                break;
            }
            place = position;
        }
        self.slot_tasks.insert(attempt_ref(&task));
        self.cpus += cpus(&task);
        self.oldest.get_or_insert(now);
        self.tasks.insert(place, Waiting { since: now, task });
    }

    /// Removes the first task that fits.
    pub(super) fn pop_first(&mut self, fits: impl Fn(&AssignedTask) -> bool) -> Option<AssignedTask> {
        let place = self.tasks.iter().position(|waiting| fits(&waiting.task))?;
        let task = self.tasks.remove(place)?.task;
        self.forget(&task);
        Some(task)
    }

    /// Whether a task fits.
    pub(super) fn has(&self, fits: impl Fn(&AssignedTask) -> bool) -> bool {
        self.tasks.iter().any(|waiting| fits(&waiting.task))
    }

    pub(super) fn remove(&mut self, attempt: AttemptRef) -> Option<AssignedTask> {
        if !self.contains(attempt) {
            return None;
        }
        let place = self.tasks.iter().position(|waiting| attempt_ref(&waiting.task) == attempt)?;
        let task = self.tasks.remove(place)?.task;
        self.forget(&task);
        Some(task)
    }

    pub(super) fn take_all(&mut self) -> Vec<AssignedTask> {
        std::mem::take(self).tasks.into_iter().map(|waiting| waiting.task).collect()
    }

    /// Removes the tasks that have waited too long.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<AssignedTask> {
        let (overdue, others): (VecDeque<_>, _) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|waiting| now - waiting.since >= PREFETCH_TIMEOUT);
        self.tasks = others;
        self.oldest = self.tasks.iter().map(|waiting| waiting.since).min();
        let overdue: Vec<AssignedTask> = overdue.into_iter().map(|waiting| waiting.task).collect();
        for task in &overdue {
            self.slot_tasks.remove(&attempt_ref(task));
        }
        self.cpus = self.tasks.iter().map(|waiting| cpus(&waiting.task)).sum();
        overdue
    }

    /// When the next task may have waited too long.
    pub(super) fn prefetch_deadline(&self) -> Option<Instant> {
        Some(self.oldest? + PREFETCH_TIMEOUT)
    }

    fn forget(&mut self, task: &AssignedTask) {
        self.slot_tasks.remove(&attempt_ref(task));
        self.cpus -= cpus(task);
        if self.tasks.is_empty() {
            self.oldest = None;
        }
    }
}

/// What a task requests, in thousandths of a processor.
pub(super) fn cpus(task: &AssignedTask) -> u64 {
    u64::from(task.task.spec.request.cpus.thousandths())
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Epoch;

    use super::super::state::tests::task;
    use super::*;

    fn of(group: i64, priority: i32, id: i64) -> AssignedTask {
        AssignedTask { group, priority, ..task(id) }
    }

    fn order(line: &mut PrefetchQueue) -> Vec<i64> {
        std::iter::from_fn(|| line.pop_first(|_| true)).map(|task| task.task.id).collect()
    }

    #[test]
    fn urgent_task_passes_only_its_own_group() {
        let now = Instant::now();
        let mut line = PrefetchQueue::default();
        for task in [of(1, 0, 1), of(2, 0, 2), of(1, 0, 3), of(2, 0, 4), of(1, -5, 5)] {
            line.join(task, now);
        }
        line.join(of(1, 9, 6), now);
        line.join(of(1, 0, 7), now);
        line.join(of(2, 0, 8), now);
        assert_eq!(order(&mut line), [6, 1, 2, 3, 4, 7, 5, 8]);
    }

    #[test]
    fn timeout_counts_for_each_task_wherever_it_is_queued() {
        let start = Instant::now();
        let later = start + Duration::from_millis(100);
        let mut line = PrefetchQueue::default();
        line.join(of(1, 0, 1), start);
        line.join(of(1, 9, 2), later);
        assert_eq!(line.prefetch_deadline(), Some(start + PREFETCH_TIMEOUT));
        let overdue: Vec<i64> =
            line.take_overdue(start + PREFETCH_TIMEOUT).iter().map(|task| task.task.id).collect();
        assert_eq!(overdue, [1]);
        assert_eq!((line.contains(AttemptRef { id: 1, epoch: Epoch::FIRST }), line.len()), (false, 1));
        assert_eq!(line.prefetch_deadline(), Some(later + PREFETCH_TIMEOUT));
        line.pop_first(|_| true);
        assert_eq!(line.prefetch_deadline(), None);
    }
}
