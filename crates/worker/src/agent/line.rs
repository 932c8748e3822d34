//! The tasks that wait for a slot. They were fetched in the order of service; one that is urgent goes before
//! what its group has here already, so that being fetched ahead costs it nothing.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use mitosis_protocol::agent::{AssignedTask, AttemptRef};
use tokio::time::Instant;

use super::hand::named;

/// A task that has waited for a slot this long goes back.
pub(super) const PATIENCE: Duration = Duration::from_millis(150);

#[derive(Debug)]
struct Waiting {
    since: Instant,
    task: AssignedTask,
}

/// Tasks in line. Within a group, those with a larger priority are in front.
#[derive(Debug, Default)]
pub(super) struct Line {
    tasks: VecDeque<Waiting>,
    names: HashSet<AttemptRef>,
    /// No task has waited since before this.
    oldest: Option<Instant>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn contains(&self, attempt: AttemptRef) -> bool {
        self.names.contains(&attempt)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = AttemptRef> {
        self.names.iter().copied()
    }

    /// Puts a task behind everything but what its group has of less priority.
    pub(super) fn join(&mut self, task: AssignedTask, now: Instant) {
        let mut place = self.tasks.len();
        // Where its group ends, or has something that is no less urgent, nothing in front of it is passed.
        for (position, waiting) in self.tasks.iter().enumerate().rev() {
            if waiting.task.group != task.group {
                continue;
            }
            if waiting.task.priority >= task.priority {
                break;
            }
            place = position;
        }
        self.names.insert(named(&task));
        self.oldest.get_or_insert(now);
        self.tasks.insert(place, Waiting { since: now, task });
    }

    pub(super) fn pop(&mut self) -> Option<AssignedTask> {
        let task = self.tasks.pop_front()?.task;
        self.forget(&task);
        Some(task)
    }

    pub(super) fn remove(&mut self, attempt: AttemptRef) -> Option<AssignedTask> {
        if !self.contains(attempt) {
            return None;
        }
        let place = self.tasks.iter().position(|waiting| named(&waiting.task) == attempt)?;
        let task = self.tasks.remove(place)?.task;
        self.forget(&task);
        Some(task)
    }

    pub(super) fn take_all(&mut self) -> Vec<AssignedTask> {
        std::mem::take(self).tasks.into_iter().map(|waiting| waiting.task).collect()
    }

    /// Takes out what has waited for too long.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<AssignedTask> {
        let (overdue, others): (VecDeque<_>, _) =
            std::mem::take(&mut self.tasks).into_iter().partition(|waiting| now - waiting.since >= PATIENCE);
        self.tasks = others;
        self.oldest = self.tasks.iter().map(|waiting| waiting.since).min();
        let overdue: Vec<AssignedTask> = overdue.into_iter().map(|waiting| waiting.task).collect();
        for task in &overdue {
            self.names.remove(&named(task));
        }
        overdue
    }

    /// When to look again whether something has waited for too long.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        Some(self.oldest? + PATIENCE)
    }

    fn forget(&mut self, task: &AssignedTask) {
        self.names.remove(&named(task));
        if self.tasks.is_empty() {
            self.oldest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand::tests::task;
    use super::*;

    fn of(group: i64, priority: i32, id: i64) -> AssignedTask {
        AssignedTask { group, priority, ..task(id) }
    }

    fn order(line: &mut Line) -> Vec<i64> {
        std::iter::from_fn(|| line.pop()).map(|task| task.task.id).collect()
    }

    #[test]
    fn an_urgent_task_goes_before_its_own_group_and_before_nobody_else() {
        let now = Instant::now();
        let mut line = Line::default();
        for task in [of(1, 0, 1), of(2, 0, 2), of(1, 0, 3), of(2, 0, 4), of(1, -5, 5)] {
            line.join(task, now);
        }
        line.join(of(1, 9, 6), now);
        line.join(of(1, 0, 7), now);
        line.join(of(2, 0, 8), now);
        assert_eq!(order(&mut line), [6, 1, 2, 3, 4, 7, 5, 8]);
    }

    #[test]
    fn patience_is_counted_for_each_wherever_it_stands() {
        let start = Instant::now();
        let later = start + Duration::from_millis(100);
        let mut line = Line::default();
        line.join(of(1, 0, 1), start);
        line.join(of(1, 9, 2), later);
        assert_eq!(line.patience_ends(), Some(start + PATIENCE));
        let overdue: Vec<i64> = line.take_overdue(start + PATIENCE).iter().map(|task| task.task.id).collect();
        assert_eq!(overdue, [1]);
        assert_eq!((line.contains(AttemptRef { id: 1, epoch: 1 }), line.len()), (false, 1));
        assert_eq!(line.patience_ends(), Some(later + PATIENCE));
        line.pop();
        assert_eq!(line.patience_ends(), None);
    }
}
