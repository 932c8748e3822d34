//! What the model knows of attempts: begun, reported, committed, lost.

use mitosis_domain::task::ExecEnd;
use mitosis_store::ops::dispatch::Completed;

use super::moves::Wish;
use super::world::{Answer, Attempt, Place, Presence, World};

impl World {
    /// Whether the attempt holds its task.
    pub(super) fn holds(&self, attempt: usize) -> bool {
        self.tasks[self.attempts[attempt].task].place == Place::Held(attempt)
    }

    /// Attempts of a worker that hold a task, in the order they were begun.
    pub(super) fn held_by(&self, worker: usize) -> Vec<usize> {
        let mut held: Vec<usize> = (0..self.attempts.len())
            .filter(|attempt| self.attempts[*attempt].worker == worker && self.holds(*attempt))
            .collect();
        held.sort_by_key(|attempt| (self.attempts[*attempt].claimed_at, self.attempts[*attempt].task));
        held
    }

    pub(super) fn claim(&mut self, worker: usize, count: usize) -> Answer {
        match self.workers[worker].state {
            Presence::Gone => return Answer::WorkerGone,
            Presence::Stopping => return Answer::Stopping,
            Presence::Here => {}
        }
        let mut given = Vec::new();
        for task in self.line(self.workers[worker].gpu).into_iter().take(count) {
            let attempt = self.attempts.len();
            self.tasks[task].epoch += 1;
            self.tasks[task].place = Place::Held(attempt);
            let epoch = self.tasks[task].epoch;
            self.attempts.push(Attempt { task, worker, epoch, claimed_at: self.now, reported: None });
            given.push((task, attempt));
        }
        Answer::Given(given)
    }

    pub(super) fn fetch(&mut self, worker: usize) -> Answer {
        let running =
            self.held_by(worker).into_iter().find(|attempt| self.attempts[*attempt].reported.is_none());
        match running {
            Some(attempt) => Answer::Given(vec![(self.attempts[attempt].task, attempt)]),
            None => self.claim(worker, 1),
        }
    }

    pub(super) fn report(&mut self, attempt: usize, end: ExecEnd) -> Answer {
        if !self.holds(attempt) {
            return Answer::NotHeld;
        }
        self.attempts[attempt].reported = Some(end);
        Answer::Noted
    }

    pub(super) fn complete(&mut self, attempt: usize, end: Option<ExecEnd>, exit_status: i32) -> Completed {
        let Attempt { task, worker, reported, .. } = self.attempts[attempt];
        if !self.holds(attempt) {
            return match self.tasks[task].place {
                Place::Committed { attempt: winner, .. } if winner == attempt => Completed::Replayed,
                _ => Completed::Stale,
            };
        }
        let Some(end) = reported.or(end) else { return Completed::NotReported };
        self.tasks[task].place = Place::Committed { attempt, end, exit_status, at: self.now };
        if let Some(follow_up) = self.pending_of(task) {
            self.tasks[follow_up].place = Place::Ready;
        }
        if self.workers[worker].state == Presence::Stopping && self.held_by(worker).is_empty() {
            self.workers[worker].state = Presence::Gone;
        }
        Completed::Committed
    }

    /// The follow-up that waits for this task.
    fn pending_of(&self, upstream: usize) -> Option<usize> {
        (0..self.tasks.len())
            .find(|at| self.tasks[*at].upstream == Some(upstream) && self.tasks[*at].place == Place::Pending)
    }

    fn drop_pending_of(&mut self, upstream: usize) {
        if let Some(follow_up) = self.pending_of(upstream) {
            self.tasks[follow_up].place = Place::Dropped;
            self.tasks[upstream].downstream = None;
        }
    }

    pub(super) fn follow_up(&mut self, attempt: usize, wish: Wish) -> Answer {
        if !self.holds(attempt) {
            return Answer::NotHeld;
        }
        if self.attempts[attempt].reported.is_none() {
            return Answer::TooEarly;
        }
        let upstream = self.attempts[attempt].task;
        self.drop_pending_of(upstream);
        let made = self.add_task(wish, Place::Pending, Some(upstream));
        self.tasks[upstream].downstream = Some(made);
        Answer::Accepted(vec![made])
    }

    /// The attempt is over without a result, and its task waits again.
    pub(super) fn lose(&mut self, attempt: usize) -> usize {
        let task = self.attempts[attempt].task;
        self.tasks[task].place = Place::Ready;
        self.drop_pending_of(task);
        task
    }
}
