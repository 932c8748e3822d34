//! How many tasks end per second.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mitosis_protocol::job::JobInfo;
use tokio::time::Instant;

use crate::show::JobShown;

/// The rate is the average of this time.
const WINDOW: Duration = Duration::from_secs(10);

/// Compares the counts of jobs over time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Ended tasks and all tasks of each active job.
    known: HashMap<i64, (u64, u64)>,
    /// The time of each update, and the tasks that ended since the one before.
    updates: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Adds the active jobs of a time. Returns the tasks that ended per second; `None` at first.
    pub(super) fn add(&mut self, now: Instant, jobs: &[JobShown]) -> Option<f64> {
        let counted = |job: &JobInfo| (job.counts.ended(), job.tasks);
        let present: HashMap<i64, (u64, u64)> =
            jobs.iter().map(|job| (job.info().job, counted(job.info()))).collect();
        let is_first = self.updates.is_empty();
        // A job that is gone has ended, with all its tasks. What a new one has run before is not known.
        let ended = self.known.iter().map(|(job, (before, all))| {
            present.get(job).map_or(*all, |(ended, _)| *ended).saturating_sub(*before)
        });
        let ended = if is_first { 0 } else { ended.sum() };
        self.known = present;
        self.updates.push_back((now, ended));
        while self.updates.len() > 2 && self.updates.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            self.updates.pop_front();
        }
        let (first, _) = self.updates.front()?;
        let seconds = (now - *first).as_secs_f64();
        // What ended before the first update of the window is not part of it.
        let sum: u64 = self.updates.iter().skip(1).map(|(_, ended)| ended).sum();
        #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
        (seconds > 0.0).then(|| sum as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::job::{JobCounts, JobState};

    use super::*;
    use crate::show::example_job;

    fn job(job: i64, succeeded: u64, tasks: u64) -> JobShown {
        JobShown::from(JobInfo {
            state: JobState::Running,
            tasks,
            counts: JobCounts { succeeded, ..JobCounts::default() },
            ..example_job(job)
        })
    }

    #[test]
    fn rate_counts_tasks_of_jobs_that_have_ended_since() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.add(at(0), &[job(1, 5, 10)]), None);
        assert_eq!(rate.add(at(1), &[job(1, 7, 10), job(2, 3, 9)]), Some(2.0));
        assert_eq!(rate.add(at(2), &[job(2, 4, 9)]), Some(3.0), "2, then 3 and 1");
        // What is older than the window does not count.
        assert_eq!(rate.add(at(30), &[job(2, 4, 9)]), Some(0.0));
    }
}
