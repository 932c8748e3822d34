//! What the model knows of tasks that wait: submitted, changed, cancelled.

use mitosis_protocol::TaskResultMessage;

use super::moves::{Key, Wish};
use super::world::{Answer, Place, Task, World};

impl World {
    pub(super) fn add_task(&mut self, wish: Wish, place: Place, upstream: Option<usize>) -> usize {
        let Wish { priority, gpu } = wish;
        self.tasks.push(Task { priority, gpu, epoch: 0, losses: 0, upstream, downstream: None, place });
        self.tasks.len() - 1
    }

    pub(super) fn submit(&mut self, wishes: &[Wish], key: Option<Key>) -> Answer {
        if let Some((request, made)) = key.and_then(|key| self.keys.get(&key.name)) {
            // The digest is of all tasks, so their number is part of it.
            let same = key.is_some_and(|key| key.request == *request) && made.len() == wishes.len();
            return if same { Answer::Replayed(made.clone()) } else { Answer::KeyReused };
        }
        let made: Vec<usize> = wishes.iter().map(|wish| self.add_task(*wish, Place::Ready, None)).collect();
        if let Some(Key { name, request }) = key
            && !made.is_empty()
        {
            self.keys.insert(name, (request, made.clone()));
        }
        Answer::Accepted(made)
    }

    pub(super) fn cancel(&mut self, named: &[usize], pending_too: bool) -> Answer {
        let mut cancelled = Vec::new();
        for at in named {
            let place = self.tasks[*at].place;
            if place == Place::Ready || (pending_too && place == Place::Pending) {
                self.tasks[*at].place =
                    Place::Cancelled { at: self.now, why: TaskResultMessage::UserCancellation };
                cancelled.push(*at);
            }
        }
        Answer::Cancelled(cancelled)
    }

    pub(super) fn prioritise(&mut self, at: usize, priority: i32) -> Answer {
        let task = &mut self.tasks[at];
        let waits = task.place == Place::Ready;
        if waits {
            task.priority = priority;
        }
        Answer::Changed(waits)
    }

    /// Tasks for a worker, in the order of service.
    pub(super) fn line(&self, gpu: bool) -> Vec<usize> {
        let mut line: Vec<usize> = (0..self.tasks.len())
            .filter(|at| self.tasks[*at].place == Place::Ready && (gpu || !self.tasks[*at].gpu))
            .collect();
        line.sort_by_key(|at| (-self.tasks[*at].priority, *at));
        line
    }
}
