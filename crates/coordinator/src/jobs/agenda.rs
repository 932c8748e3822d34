//! When each job is planned next.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use mitosis_domain::ids::JobId;
use tokio::time::Instant;

/// The shortest time between two plans of one job.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Jobs that were planned recently are remembered up to this number before old ones are dropped.
const MIN_CLEANUP: usize = 1_000;

/// The jobs to plan, and the earliest time for each. It reads no clock.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    queue: BTreeSet<(Instant, JobId)>,
    times: HashMap<JobId, Instant>,
    /// Jobs that were planned, and when they may be planned again.
    resting: HashMap<JobId, Instant>,
    /// The number of them after the last clean-up.
    kept: usize,
}

impl Agenda {
    /// Plans a job at a time, or earlier if that was requested before, but not while it rests.
    pub(super) fn add(&mut self, job: JobId, at: Instant) {
        let at = self.resting.get(&job).map_or(at, |rested| at.max(*rested));
        if let Some(before) = self.times.get(&job).copied() {
            if before <= at {
                return;
            }
            self.queue.remove(&(before, job));
        }
        self.times.insert(job, at);
        self.queue.insert((at, job));
    }

    /// When the next job is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Removes the first job that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<JobId> {
        let (_, job) = self.queue.first().copied().filter(|(at, _)| *at <= now)?;
        self.queue.pop_first();
        self.times.remove(&job);
        Some(job)
    }

    /// Notes that a job was planned, so that it rests.
    pub(super) fn rest(&mut self, job: JobId, now: Instant) {
        self.resting.insert(job, now + PAUSE);
        if self.resting.len() > 2 * self.kept.max(MIN_CLEANUP) {
            self.resting.retain(|_, rested| *rested > now);
            self.kept = self.resting.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn jobs_are_due_at_their_earliest_time() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        agenda.add(JobId(1), after(5));
        agenda.add(JobId(2), after(3));
        agenda.add(JobId(1), after(2));
        agenda.add(JobId(2), after(9));
        assert_eq!(agenda.next(), Some(after(2)));
        assert_eq!(agenda.pop(after(1)), None);
        assert_eq!((agenda.pop(after(4)), agenda.pop(after(4))), (Some(JobId(1)), Some(JobId(2))));
        assert_eq!((agenda.pop(after(99)), agenda.next()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn planned_job_rests() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.rest(JobId(1), now);
        agenda.add(JobId(1), now);
        agenda.add(JobId(2), now);
        assert_eq!((agenda.pop(now), agenda.pop(now)), (Some(JobId(2)), None));
        assert_eq!(agenda.pop(now + PAUSE), Some(JobId(1)));
        let later = now + PAUSE * 2;
        agenda.add(JobId(1), later);
        assert_eq!(agenda.pop(later), Some(JobId(1)), "it has rested");
    }

    #[tokio::test(start_paused = true)]
    async fn rested_jobs_are_dropped() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        for job in 0..100_000 {
            agenda.rest(JobId(job), now + PAUSE * u32::try_from(job / 100).unwrap());
        }
        assert!(agenda.resting.len() <= 2 * MIN_CLEANUP + 1, "{}", agenda.resting.len());
    }
}
