//! The model of attempts: claimed, reported, committed, lost.

use mitosis_domain::limits::MAX_LOST_ATTEMPTS;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::TaskResultMessage;
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::workers::Fate;

use super::moves::{HolderForm, TaskShape};
use super::world::{Attempt, ModelPhase, Outcome, Presence, World};

impl World {
    /// Whether the attempt holds its task.
    pub(super) fn holds(&self, attempt: usize) -> bool {
        self.tasks[self.attempts[attempt].task].place == ModelPhase::Held(attempt)
    }

    /// The attempt that is referred to: by its own key, or as the latest attempt of its worker at the task.
    pub(super) fn meant(&self, attempt: usize, way: HolderForm) -> usize {
        let Attempt { task, worker, .. } = self.attempts[attempt];
        match way {
            HolderForm::Key => attempt,
            HolderForm::Worker => (0..self.attempts.len())
                .rfind(|at| (self.attempts[*at].task, self.attempts[*at].worker) == (task, worker))
                .expect("the attempt itself"),
        }
    }

    /// Attempts of a worker that hold a task, oldest first.
    pub(super) fn held_by(&self, worker: usize) -> Vec<usize> {
        let mut held: Vec<usize> = (0..self.attempts.len())
            .filter(|attempt| self.attempts[*attempt].worker == worker && self.holds(*attempt))
            .collect();
        held.sort_by_key(|attempt| (self.attempts[*attempt].claimed_at, self.attempts[*attempt].task));
        held
    }

    pub(super) fn claim(&mut self, worker: usize, count: usize) -> Outcome {
        match self.workers[worker].state {
            Presence::Gone => return Outcome::WorkerGone,
            Presence::Stopping => return Outcome::Stopping,
            Presence::Here => {}
        }
        let ready = self.ready_tasks(self.workers[worker].gpu);
        Outcome::Assigned(ready.into_iter().take(count).map(|task| self.begin(task, worker)).collect())
    }

    /// Assigns a task to a worker; returns the task and the attempt.
    pub(super) fn begin(&mut self, task: usize, worker: usize) -> (usize, usize) {
        let attempt = self.attempts.len();
        self.tasks[task].epoch = self.tasks[task].epoch.next();
        self.tasks[task].place = ModelPhase::Held(attempt);
        let (epoch, claimed_at) = (self.tasks[task].epoch, self.now);
        let begun = Attempt { task, worker, epoch, claimed_at, reported: None, stop_requested: false };
        self.attempts.push(begun);
        (task, attempt)
    }

    pub(super) fn request_stop(&mut self, task: usize) -> Outcome {
        let ModelPhase::Held(attempt) = self.tasks[task].place else { return Outcome::NotRunning };
        let Attempt { worker, reported: None, .. } = self.attempts[attempt] else {
            return Outcome::NotRunning;
        };
        if !self.workers[worker].listens {
            return Outcome::LegacyWorker;
        }
        self.attempts[attempt].stop_requested = true;
        Outcome::StopRequested(worker)
    }

    pub(super) fn fetch(&mut self, worker: usize) -> Outcome {
        let running =
            self.held_by(worker).into_iter().find(|attempt| self.attempts[*attempt].reported.is_none());
        match running {
            Some(attempt) => Outcome::Assigned(vec![(self.attempts[attempt].task, attempt)]),
            None => self.claim(worker, 1),
        }
    }

    pub(super) fn report(&mut self, attempt: usize, end: ExecEnd) -> Outcome {
        if !self.holds(attempt) {
            return Outcome::NotHeld;
        }
        self.attempts[attempt].reported = Some(end);
        Outcome::Recorded
    }

    pub(super) fn complete(&mut self, attempt: usize, end: Option<ExecEnd>, exit_status: i32) -> Completed {
        let completed = self.end(attempt, end, exit_status);
        if completed == Completed::Committed {
            self.may_go(self.attempts[attempt].worker);
        }
        completed
    }

    /// Removes a draining worker with its last task.
    pub(super) fn may_go(&mut self, worker: usize) {
        if self.workers[worker].state == Presence::Stopping && self.held_by(worker).is_empty() {
            self.workers[worker].state = Presence::Gone;
        }
    }

    pub(super) fn end(&mut self, attempt: usize, end: Option<ExecEnd>, exit_status: i32) -> Completed {
        let Attempt { task, reported, .. } = self.attempts[attempt];
        if !self.holds(attempt) {
            return match self.tasks[task].place {
                ModelPhase::Committed { attempt: winner, .. } if winner == attempt => Completed::Replayed,
                _ => Completed::Stale,
            };
        }
        let Some(end) = reported.or(end) else { return Completed::NotReported };
        self.tasks[task].place = ModelPhase::Committed { attempt, end, exit_status, at: self.now };
        if let Some(follow_up) = self.pending_of(task) {
            self.tasks[follow_up].place = ModelPhase::Ready;
        }
        Completed::Committed
    }

    /// The follow-up that waits for this task.
    fn pending_of(&self, upstream: usize) -> Option<usize> {
        (0..self.tasks.len()).find(|at| {
            self.tasks[*at].upstream == Some(upstream) && self.tasks[*at].place == ModelPhase::Pending
        })
    }

    fn drop_pending_of(&mut self, upstream: usize) {
        if let Some(follow_up) = self.pending_of(upstream) {
            self.tasks[follow_up].place = ModelPhase::Dropped;
            self.tasks[upstream].downstream = None;
        }
    }

    pub(super) fn follow_up(&mut self, attempt: usize, shape: TaskShape) -> Outcome {
        if !self.holds(attempt) {
            return Outcome::NotHeld;
        }
        if self.attempts[attempt].reported.is_none() {
            return Outcome::TooEarly;
        }
        let upstream = self.attempts[attempt].task;
        self.drop_pending_of(upstream);
        let made = self.add_task(shape, ModelPhase::Pending, Some(upstream));
        self.tasks[upstream].downstream = Some(made);
        Outcome::Accepted(vec![made])
    }

    /// Ends an attempt without a result. Its task waits again, unless a user requested to stop it or too many
    /// attempts are lost.
    pub(super) fn lose(&mut self, attempt: usize, fate: Fate) -> usize {
        let Attempt { task, stop_requested, .. } = self.attempts[attempt];
        if fate == Fate::WorkerLost {
            self.tasks[task].losses += 1;
        }
        let too_many = fate == Fate::WorkerLost && self.tasks[task].losses >= MAX_LOST_ATTEMPTS;
        let cancelled = |why| ModelPhase::Cancelled { at: self.now, why };
        self.tasks[task].place = match stop_requested {
            true => cancelled(TaskResultMessage::UserCancellation),
            false if too_many => cancelled(TaskResultMessage::WorkersLost),
            false => ModelPhase::Ready,
        };
        self.drop_pending_of(task);
        task
    }
}
