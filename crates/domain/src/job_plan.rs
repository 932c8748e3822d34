//! What a coordinator does next for a job, as a pure function of its state.

use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobOptions, StopCause};

use crate::ids::JobId;

/// Tasks that a job writes at a time.
pub const CHUNK: u64 = 2_000;

/// A job writes its next tasks when fewer than this number wait for a worker.
pub const LOW_WATER: u64 = 2_000;

/// How many of the written tasks of a job are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WrittenCounts {
    /// Wait for a worker, are held, or are blocked.
    pub waiting: u64,
    /// Of these, wait for a task of another job.
    pub blocked: u64,
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
    /// Waiting tasks that are held and not blocked, and whose time has come.
    pub held: u64,
    /// The time of the first deferred attempt.
    pub deferred_until: Option<Timestamp>,
    /// Why no more tasks are written.
    pub stopped: Option<StopCause>,
    /// How far tasks may be written, if each waits for tasks of other jobs.
    pub reach: Option<Reach>,
    /// Whether its tasks fetch artifacts of other jobs.
    pub is_fetching: bool,
    /// The number of jobs that it still waits for.
    pub unmet: u64,
    /// The priority of its tasks.
    pub priority: i32,
    /// Limits and times.
    pub options: JobOptions,
}

/// A job whose tasks the tasks of another job wait for, each for that with its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededTasks {
    /// The job.
    pub job: JobId,
    /// The number of its tasks that are written.
    pub written: u64,
    /// Whether it writes no more tasks.
    pub stopped: bool,
    /// Written tasks that have not ended.
    pub unfinished: u64,
    /// Written tasks that ended with success.
    pub succeeded: u64,
    /// Written tasks that ended otherwise.
    pub unsuccessful: u64,
    /// Whether a task has ended that needs one that is not written: the dependent job has something to gain by writing on.
    pub ended_ahead: bool,
}

/// How far the tasks of a job may be written that wait for tasks of other jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The number of first tasks that may be written.
    pub tasks: u64,
    /// Whether tasks after those that are written may be able to run.
    pub ahead: bool,
    /// The job because of which tasks beyond the reach never run.
    pub cut_by: Option<JobId>,
}

impl NeededTasks {
    /// Whether its remaining tasks can't succeed, so that those that need them are not worth a row.
    const fn is_hopeless(&self, size: u64) -> bool {
        self.succeeded == 0 && self.unfinished == 0 && (self.stopped || self.written >= size)
    }

    /// How many first tasks of the dependent job of this size may be written. None before a needed task has ended: the rows
    /// would only wait.
    const fn reach(&self, size: u64) -> u64 {
        match self.succeeded + self.unsuccessful == 0 || self.is_hopeless(size) {
            true => 0,
            false => self.written,
        }
    }
}

impl Reach {
    /// The reach of a job of this size; `written` of its tasks are written.
    pub fn of(needed: &[NeededTasks], size: u64, written: u64) -> Self {
        let reach = |needed: &NeededTasks| needed.reach(size);
        let never =
            |needed: &&NeededTasks| (needed.stopped && needed.written <= written) || needed.is_hopeless(size);
        Self {
            tasks: needed.iter().map(reach).min().unwrap_or(size),
            ahead: needed.iter().all(|needed| needed.ended_ahead),
            cut_by: needed.iter().find(never).map(|needed| needed.job),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Cancel the remaining tasks.
    Stop(StopCause),
    /// Write no more tasks, because those of this job that they need never succeed.
    Cut(JobId),
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
        let rest = if self.stopped.is_some() { 0 } else { rest };
        if self.counts.waiting + self.counts.running + rest == 0 {
            return Step::End;
        }
        // The tasks that a job wrote before it was cut are still limited.
        let is_limited = matches!(self.stopped, None | Some(StopCause::DependencyFailed));
        if self.counts.waiting + rest > 0 && is_limited {
            if max_failures.is_some_and(|most| self.counts.failed + self.counts.timed_out > most) {
                return Step::Stop(StopCause::MaxFailures);
            }
            if expires_at.is_some_and(due) {
                return Step::Stop(StopCause::Expired);
            }
        }
        if let (Some(Reach { cut_by: Some(job), .. }), 1..) = (self.reach, rest) {
            return Step::Cut(job);
        }
        let times = [start_after, expires_at, self.deferred_until];
        let next_time = times.into_iter().flatten().filter(|at| !due(*at)).min();
        let later = next_time.map_or(Step::Wait, Step::WaitUntil);
        if self.options.paused || self.unmet > 0 || start_after.is_some_and(|at| !due(at)) {
            return later;
        }
        let room = self.room();
        // Tasks that wait for others are written as held, so they need no room.
        let chunk = if self.reach.is_some() { self.chunk(rest) } else { room.min(self.chunk(rest)) };
        match (room.min(self.held), chunk) {
            (0, 0) => later,
            (0, write) => Step::Write(write),
            (release, _) => Step::Release(release),
        }
    }

    /// How many more tasks may wait for a worker or run at the same time.
    fn room(&self) -> u64 {
        let Some(most) = self.options.max_running else { return u64::MAX };
        let idle = self.held + self.counts.blocked;
        let outstanding = (self.counts.waiting + self.counts.running).saturating_sub(idle);
        most.saturating_sub(outstanding)
    }

    /// How many tasks to write, if none is held. Blocked tasks count as waiting unless others after them may run.
    fn chunk(&self, rest: u64) -> u64 {
        let WrittenCounts { waiting, blocked, .. } = self.counts;
        let (free, rest, ahead) = match self.reach {
            Some(reach) => (
                waiting - blocked.min(waiting),
                rest.min(reach.tasks.saturating_sub(self.written)),
                reach.ahead,
            ),
            None => (waiting, rest, false),
        };
        match free < LOW_WATER && (ahead || blocked < LOW_WATER) {
            true => rest.min(CHUNK),
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
            stopped: None,
            reach: None,
            is_fetching: false,
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
        assert_eq!(
            Snapshot { stopped: Some(StopCause::Cancelled), ..job(5, 4, ended) }.next(at(0)),
            Step::End
        );
        let running = WrittenCounts { running: 1, ..ended };
        assert_eq!(
            Snapshot { stopped: Some(StopCause::Cancelled), ..job(9, 5, running) }.next(at(0)),
            Step::Wait
        );
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

    fn needed(written: u64, succeeded: u64, unsuccessful: u64) -> NeededTasks {
        NeededTasks {
            job: JobId(11),
            written,
            stopped: false,
            unfinished: written - succeeded - unsuccessful,
            succeeded,
            unsuccessful,
            ended_ahead: false,
        }
    }

    /// A job of 10,000 tasks, of which `written` are written and `blocked` wait for others.
    fn dependent(written: u64, blocked: u64, needed: &[NeededTasks]) -> Snapshot {
        let counts = WrittenCounts {
            waiting: blocked,
            blocked,
            succeeded: written - blocked,
            ..WrittenCounts::default()
        };
        Snapshot { reach: Some(Reach::of(needed, 10_000, written)), ..job(10_000, written, counts) }
    }

    #[test]
    fn tasks_are_written_after_the_first_that_they_need_has_ended() {
        assert_eq!(dependent(0, 0, &[needed(3_000, 0, 0)]).next(at(0)), Step::Wait);
        assert_eq!(dependent(0, 0, &[needed(3_000, 1, 0)]).next(at(0)), Step::Write(CHUNK));
        assert_eq!(dependent(0, 0, &[needed(300, 0, 1)]).next(at(0)), Step::Write(300));
        assert_eq!(dependent(300, 200, &[needed(300, 1, 0)]).next(at(0)), Step::Wait);
        let both = [needed(3_000, 1, 0), needed(100, 1, 0)];
        assert_eq!(dependent(0, 0, &both).next(at(0)), Step::Write(100));
    }

    #[test]
    fn blocked_front_does_not_hide_tasks_that_may_run() {
        let front = needed(9_000, 3_000, 0);
        assert_eq!(dependent(2_000, 2_000, &[front]).next(at(0)), Step::Wait);
        let ahead = NeededTasks { ended_ahead: true, ..front };
        assert_eq!(dependent(2_000, 2_000, &[ahead]).next(at(0)), Step::Write(CHUNK));
        assert_eq!(dependent(8_000, 8_000, &[ahead]).next(at(0)), Step::Write(1_000));
        let free = dependent(4_000, 2_000, &[ahead]);
        let free = Snapshot { counts: WrittenCounts { waiting: 4_000, ..free.counts }, ..free };
        assert_eq!(free.next(at(0)), Step::Wait, "enough tasks may run");
    }

    #[test]
    fn tasks_that_never_run_are_not_written() {
        let stopped = NeededTasks { stopped: true, ..needed(3_000, 1_000, 0) };
        assert_eq!(dependent(2_000, 1_000, &[stopped]).next(at(0)), Step::Write(1_000));
        assert_eq!(dependent(3_000, 1_000, &[stopped]).next(at(0)), Step::Cut(JobId(11)));
        let failed = needed(10_000, 0, 10_000);
        assert_eq!(dependent(0, 0, &[failed]).next(at(0)), Step::Cut(JobId(11)));
        let one_is_left = NeededTasks { unfinished: 1, unsuccessful: 9_999, ..failed };
        assert_eq!(dependent(0, 0, &[one_is_left]).next(at(0)), Step::Write(CHUNK));
        let cut = dependent(0, 0, &[failed]);
        assert_eq!(Snapshot { stopped: Some(StopCause::DependencyFailed), ..cut }.next(at(0)), Step::End);
        let paused = with(cut, JobOptions { paused: true, ..JobOptions::default() });
        assert_eq!(paused.next(at(0)), Step::Cut(JobId(11)));
    }

    #[test]
    fn blocked_tasks_take_no_room() {
        let options = JobOptions { max_running: Some(4), ..JobOptions::default() };
        let counts = WrittenCounts { waiting: 60, blocked: 50, running: 1, ..WrittenCounts::default() };
        let job = with(job(100, 61, counts), options);
        let reach = Reach::of(&[needed(61, 11, 0)], 100, 61);
        let job = Snapshot { held: 10, reach: Some(reach), ..job };
        assert_eq!(job.next(at(0)), Step::Release(3));
        let more = Reach::of(&[needed(70, 11, 0)], 100, 61);
        assert_eq!(Snapshot { held: 0, reach: Some(more), ..job }.next(at(0)), Step::Write(9));
    }

    #[test]
    fn cut_job_is_still_limited() {
        let options = JobOptions { expires_at: Some(at(5)), ..JobOptions::default() };
        let counts = WrittenCounts { waiting: 1, ..WrittenCounts::default() };
        let cut = Snapshot { stopped: Some(StopCause::DependencyFailed), ..with(job(9, 1, counts), options) };
        assert_eq!(cut.next(at(4)), Step::WaitUntil(at(5)));
        assert_eq!(cut.next(at(5)), Step::Stop(StopCause::Expired));
    }
}
