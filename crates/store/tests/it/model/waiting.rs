//! The model of waiting tasks: submitted, changed, cancelled.

use mitosis_protocol::{Epoch, TaskResultMessage};

use super::moves::{Key, TaskShape};
use super::world::{ModelPhase, Outcome, Task, World};

impl World {
    pub(super) fn add_task(&mut self, shape: TaskShape, place: ModelPhase, upstream: Option<usize>) -> usize {
        let TaskShape { priority, gpu } = shape;
        self.tasks.push(Task {
            priority,
            gpu,
            epoch: Epoch::ZERO,
            losses: 0,
            upstream,
            downstream: None,
            place,
        });
        self.tasks.len() - 1
    }

    pub(super) fn submit(&mut self, shapes: &[TaskShape], key: Option<Key>) -> Outcome {
        if let Some((request, made)) = key.and_then(|key| self.keys.get(&key.name)) {
            // The digest is of all tasks, so their number is part of it.
            let same = key.is_some_and(|key| key.request == *request) && made.len() == shapes.len();
            return if same { Outcome::Replayed(made.clone()) } else { Outcome::KeyReused };
        }
        let made: Vec<usize> =
            shapes.iter().map(|shape| self.add_task(*shape, ModelPhase::Ready, None)).collect();
        if let Some(Key { name, request }) = key
            && !made.is_empty()
        {
            self.keys.insert(name, (request, made.clone()));
        }
        Outcome::Accepted(made)
    }

    pub(super) fn cancel(&mut self, named: &[usize], pending_too: bool) -> Outcome {
        let mut cancelled = Vec::new();
        for at in named {
            let place = self.tasks[*at].place;
            if place == ModelPhase::Ready || (pending_too && place == ModelPhase::Pending) {
                self.tasks[*at].place =
                    ModelPhase::Cancelled { at: self.now, why: TaskResultMessage::UserCancellation };
                cancelled.push(*at);
            }
        }
        Outcome::Cancelled(cancelled)
    }

    pub(super) fn prioritise(&mut self, at: usize, priority: i32) -> Outcome {
        let task = &mut self.tasks[at];
        let waits = task.place == ModelPhase::Ready;
        if waits {
            task.priority = priority;
        }
        Outcome::Changed(waits)
    }

    /// Tasks for a worker, in the order of service.
    pub(super) fn ready_tasks(&self, gpu: bool) -> Vec<usize> {
        let mut ready: Vec<usize> = (0..self.tasks.len())
            .filter(|at| self.tasks[*at].place == ModelPhase::Ready && (gpu || !self.tasks[*at].gpu))
            .collect();
        ready.sort_by_key(|at| (-self.tasks[*at].priority, *at));
        ready
    }
}
