//! What a coordinator does next for a job, as a pure function of its state.

use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobOptions, StopCause};

/// Tasks that a job writes at a time.
pub const CHUNK: u64 = 2_000;

/// A job writes its next tasks when fewer than this number wait for a worker.
pub const LOW_WATER: u64 = 2_000;

/// How many of the written tasks of a job are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WrittenCounts {
    /// Wait for a worker, or are held.
    pub waiting: u64,
    /// A worker holds them.
    pub running: u64,
    /// Ended with success.
    pub succeeded: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Stopped at their timeout.
    pub timed_out: u64,
    /// Cancelled.
    pub cancelled: u64,
}

/// The state of a job, as far as planning depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of tasks.
    pub size: u64,
    /// The number of tasks that are written.
    pub written: u64,
    /// The written tasks by state.
    pub counts: WrittenCounts,
    /// Waiting tasks that are held, and whose time has come.
    pub held: u64,
    /// The time of the first deferred attempt.
    pub deferred_until: Option<Timestamp>,
    /// Whether no more tasks are written.
    pub stopped: bool,
    /// The number of jobs that it still waits for.
    pub unmet: u64,
    /// The priority of its tasks.
    pub priority: i32,
    /// Limits and times.
    pub options: JobOptions,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Cancel the remaining tasks.
    Stop(StopCause),
    /// Write this number of tasks.
    Write(u64),
    /// Allow this number of held tasks to run.
    Release(u64),
    /// Record that the job has ended.
    End,
    /// Nothing before this time.
    WaitUntil(Timestamp),
    /// Nothing, until the job changes.
    Wait,
}

impl WrittenCounts {
    /// The number of ended tasks.
    pub const fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.timed_out + self.cancelled
    }
}

impl Snapshot {
    /// The next step at a time. After it, the job is planned again.
    pub fn next(&self, now: Timestamp) -> Step {
        let JobOptions { start_after, expires_at, max_failures, .. } = self.options;
        let (due, rest) = (|at: Timestamp| at <= now, self.size.saturating_sub(self.written));
        let rest = if self.stopped { 0 } else { rest };
        if self.counts.waiting + self.counts.running + rest == 0 {
            return Step::End;
        }
        if self.counts.waiting + rest > 0 && !self.stopped {
            if max_failures.is_some_and(|most| self.counts.failed + self.counts.timed_out > most) {
                return Step::Stop(StopCause::MaxFailures);
            }
            if expires_at.is_some_and(due) {
                return Step::Stop(StopCause::Expired);
            }
        }
        let times = [start_after, expires_at, self.deferred_until];
        let next_time = times.into_iter().flatten().filter(|at| !due(*at)).min();
        let later = next_time.map_or(Step::Wait, Step::WaitUntil);
        if self.options.paused || self.unmet > 0 || start_after.is_some_and(|at| !due(at)) {
            return later;
        }
        let room = self.room();
        match (room.min(self.held), room.min(self.chunk(rest))) {
            (0, 0) => later,
            (0, write) => Step::Write(write),
            (release, _) => Step::Release(release),
        }
    }

    /// How many more tasks may wait for a worker or run at the same time.
    fn room(&self) -> u64 {
        let Some(most) = self.options.max_running else { return u64::MAX };
        let outstanding = (self.counts.waiting + self.counts.running).saturating_sub(self.held);
        most.saturating_sub(outstanding)
    }

    /// How many tasks to write, if none is held.
    const fn chunk(&self, rest: u64) -> u64 {
        match self.counts.waiting < LOW_WATER {
            true if rest < CHUNK => rest,
            true => CHUNK,
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn job(size: u64, written: u64, counts: WrittenCounts) -> Snapshot {
        let options = JobOptions::default();
        Snapshot {
            size,
            written,
            counts,
            held: 0,
            deferred_until: None,
            stopped: false,
            unmet: 0,
            priority: 0,
            options,
        }
    }

    fn with(job: Snapshot, options: JobOptions) -> Snapshot {
        Snapshot { options, ..job }
    }

    #[test]
    fn tasks_are_written_below_the_low_water_mark() {
        let waiting = |waiting| WrittenCounts { waiting, ..WrittenCounts::default() };
        assert_eq!(job(1_000_000, 2_000, waiting(1_999)).next(at(0)), Step::Write(CHUNK));
        assert_eq!(job(1_000_000, 2_000, waiting(2_000)).next(at(0)), Step::Wait);
        assert_eq!(job(2_100, 2_000, waiting(10)).next(at(0)), Step::Write(100));
        assert_eq!(job(2_000, 2_000, waiting(10)).next(at(0)), Step::Wait);
    }

    #[test]
    fn job_ends_when_no_task_is_left() {
        let ended = WrittenCounts { succeeded: 3, failed: 1, ..WrittenCounts::default() };
        assert_eq!(job(4, 4, ended).next(at(0)), Step::End);
        assert_eq!(job(5, 4, ended).next(at(0)), Step::Write(1));
        assert_eq!(Snapshot { stopped: true, ..job(5, 4, ended) }.next(at(0)), Step::End);
        let running = WrittenCounts { running: 1, ..ended };
        assert_eq!(Snapshot { stopped: true, ..job(9, 5, running) }.next(at(0)), Step::Wait);
    }

    #[test]
    fn nothing_is_written_before_its_time_or_while_paused() {
        let start_after = Some(at(10));
        let deferred =
            with(job(5, 0, WrittenCounts::default()), JobOptions { start_after, ..JobOptions::default() });
        assert_eq!(deferred.next(at(9)), Step::WaitUntil(at(10)));
        assert_eq!(deferred.next(at(10)), Step::Write(5));
        let paused = JobOptions { paused: true, expires_at: Some(at(20)), ..JobOptions::default() };
        let paused = with(job(5, 0, WrittenCounts::default()), paused);
        assert_eq!(paused.next(at(9)), Step::WaitUntil(at(20)));
        assert_eq!(paused.next(at(20)), Step::Stop(StopCause::Expired));
        assert_eq!(Snapshot { unmet: 1, ..job(5, 0, WrittenCounts::default()) }.next(at(0)), Step::Wait);
    }

    #[test]
    fn no_more_tasks_are_released_than_may_run() {
        let options = JobOptions { max_running: Some(4), ..JobOptions::default() };
        let counts = WrittenCounts { waiting: 1, running: 2, ..WrittenCounts::default() };
        assert_eq!(with(job(100, 10, counts), options).next(at(0)), Step::Write(1));
        let counts = WrittenCounts { waiting: 50, running: 4, ..WrittenCounts::default() };
        let full = Snapshot { held: 50, ..with(job(100, 60, counts), options) };
        assert_eq!(full.next(at(0)), Step::Wait);
        let counts = WrittenCounts { running: 1, ..counts };
        assert_eq!(Snapshot { counts, ..full }.next(at(0)), Step::Release(3));
    }

    #[test]
    fn failures_beyond_the_limit_stop_the_job() {
        let options = JobOptions { max_failures: Some(2), ..JobOptions::default() };
        let counts = WrittenCounts { failed: 1, timed_out: 1, ..WrittenCounts::default() };
        assert_eq!(with(job(9, 2, counts), options).next(at(0)), Step::Write(7));
        let counts = WrittenCounts { failed: 2, ..counts };
        assert_eq!(with(job(9, 3, counts), options).next(at(0)), Step::Stop(StopCause::MaxFailures));
        assert_eq!(with(job(3, 3, counts), options).next(at(0)), Step::End);
    }
}
