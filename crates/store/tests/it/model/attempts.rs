//! What the model knows of attempts: begun, reported, committed, lost.

use mitosis_domain::limits::MAX_LOST_ATTEMPTS;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::TaskResultMessage;
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::workers::Fate;

use super::moves::{Way, Wish};
use super::world::{Answer, Attempt, Place, Presence, World};

impl World {
    /// Whether the attempt holds its task.
    pub(super) fn holds(&self, attempt: usize) -> bool {
        self.tasks[self.attempts[attempt].task].place == Place::Held(attempt)
    }

    /// The attempt that is meant: its own key names one, its worker the latest that it has begun at the task.
    pub(super) fn meant(&self, attempt: usize, way: Way) -> usize {
        let Attempt { task, worker, .. } = self.attempts[attempt];
        match way {
            Way::Key => attempt,
            Way::Worker => (0..self.attempts.len())
                .rfind(|at| (self.attempts[*at].task, self.attempts[*at].worker) == (task, worker))
                .expect("the attempt itself"),
        }
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
        let line = self.line(self.workers[worker].gpu);
        Answer::Given(line.into_iter().take(count).map(|task| self.begin(task, worker)).collect())
    }

    /// Gives a task to a worker; answers it with the attempt.
    pub(super) fn begin(&mut self, task: usize, worker: usize) -> (usize, usize) {
        let attempt = self.attempts.len();
        self.tasks[task].epoch += 1;
        self.tasks[task].place = Place::Held(attempt);
        let (epoch, claimed_at) = (self.tasks[task].epoch, self.now);
        let begun = Attempt { task, worker, epoch, claimed_at, reported: None, stop_asked: false };
        self.attempts.push(begun);
        (task, attempt)
    }

    pub(super) fn ask_to_stop(&mut self, task: usize) -> Answer {
        let Place::Held(attempt) = self.tasks[task].place else { return Answer::NotRunning };
        let Attempt { worker, reported: None, .. } = self.attempts[attempt] else {
            return Answer::NotRunning;
        };
        if !self.workers[worker].listens {
            return Answer::Deaf;
        }
        self.attempts[attempt].stop_asked = true;
        Answer::AskedOf(worker)
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
        let completed = self.end(attempt, end, exit_status);
        if completed == Completed::Committed {
            self.may_go(self.attempts[attempt].worker);
        }
        completed
    }

    /// A worker that is to stop goes with the last task it holds.
    pub(super) fn may_go(&mut self, worker: usize) {
        if self.workers[worker].state == Presence::Stopping && self.held_by(worker).is_empty() {
            self.workers[worker].state = Presence::Gone;
        }
    }

    pub(super) fn end(&mut self, attempt: usize, end: Option<ExecEnd>, exit_status: i32) -> Completed {
        let Attempt { task, reported, .. } = self.attempts[attempt];
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

    /// The attempt is over without a result, and its task waits again, unless a user wanted it to stop or too many
    /// attempts are lost.
    pub(super) fn lose(&mut self, attempt: usize, fate: Fate) -> usize {
        let Attempt { task, stop_asked, .. } = self.attempts[attempt];
        if fate == Fate::Lost {
            self.tasks[task].losses += 1;
        }
        let too_many = fate == Fate::Lost && self.tasks[task].losses >= MAX_LOST_ATTEMPTS;
        let cancelled = |why| Place::Cancelled { at: self.now, why };
        self.tasks[task].place = match stop_asked {
            true => cancelled(TaskResultMessage::UserCancellation),
            false if too_many => cancelled(TaskResultMessage::WorkersLost),
            false => Place::Ready,
        };
        self.drop_pending_of(task);
        task
    }
}
