//! Jobs in the form of the protocol.

use mitosis_domain::job::{JobControl, Pause, Start, state};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobCounts, JobInfo, JobNeed};
use mitosis_store::ops::jobs::Job;

/// Converts a job with what it waits for.
pub(crate) fn info(job: &Job, needs: Vec<JobNeed>, now: Timestamp) -> JobInfo {
    let counts = counts(job, now);
    let (stopped, stopped_by) = job.stopped.unzip();
    JobInfo {
        job: job.id.0,
        name: job.name.clone(),
        group: job.group_name.clone(),
        creator: job.creator_name.clone(),
        labels: job.labels.to_vec(),
        priority: job.priority,
        state: state(&counts, control(job, now)),
        tasks: job.size,
        counts,
        stopped,
        stopped_by: stopped_by.flatten().map(|job| job.0),
        needs,
        options: job.options,
        retry: job.retry.clone(),
        limits: job.limits.clone(),
        created_at: job.created_at,
        ended_at: job.ended_at,
    }
}

/// Counts all tasks. Those that are not written yet are blocked or wait, unless they or the whole job were cancelled.
fn counts(job: &Job, now: Timestamp) -> JobCounts {
    let written = job.counts;
    let mut counts = JobCounts {
        waiting: written.waiting.saturating_sub(written.blocked),
        blocked: written.blocked,
        running: written.running,
        succeeded: written.succeeded,
        failed: written.failed,
        timed_out: written.timed_out,
        cancelled: written.cancelled,
    };
    let skipped = job.skipped.count_between(job.written, job.size);
    counts.cancelled += skipped;
    let unwritten = job.size.saturating_sub(job.written) - skipped;
    match (job.stopped, control(job, now).start) {
        (Some(_), _) => counts.cancelled += unwritten,
        (None, Start::Held) => counts.blocked += unwritten,
        // Most of the tasks that they need have not ended.
        (None, Start::Due) if job.is_element_wise => counts.blocked += unwritten,
        (None, Start::Due) => counts.waiting += unwritten,
    }
    counts
}

/// What keeps the tasks from starting.
fn control(job: &Job, now: Timestamp) -> JobControl {
    let is_held = job.unmet > 0 || job.options.start_after.is_some_and(|at| at > now);
    JobControl {
        pause: if job.options.paused { Pause::Paused } else { Pause::Resumed },
        start: if is_held { Start::Held } else { Start::Due },
    }
}

#[cfg(test)]
mod tests {
    use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId};
    use mitosis_domain::index_set::IndexSet;
    use mitosis_domain::job_plan::WrittenCounts;
    use mitosis_domain::tags::TagSet;
    use mitosis_protocol::job::{JobOptions, JobState, StopCause};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);

    /// A job of ten tasks, of which four are written.
    fn job(counts: WrittenCounts) -> Job {
        Job {
            id: JobId(12),
            group: GroupId(1),
            group_name: "lab".to_owned(),
            creator: UserId(1),
            creator_name: "ann".to_owned(),
            name: None,
            labels: TagSet::default(),
            priority: 0,
            size: 10,
            written: 4,
            first_id: TaskId(1),
            first_number: 1,
            counts,
            skipped: IndexSet::default(),
            stopped: None,
            unmet: 0,
            is_element_wise: false,
            options: JobOptions::default(),
            retry: None,
            limits: Vec::new(),
            created_at: NOW,
            ended_at: None,
        }
    }

    #[test]
    fn tasks_that_are_not_written_are_counted() {
        let counts = WrittenCounts { waiting: 1, running: 2, succeeded: 1, ..WrittenCounts::default() };
        let plain = job(counts);
        let seen = |job: &Job| {
            let JobInfo { counts, state, .. } = info(job, Vec::new(), NOW);
            assert_eq!(counts.total(), 10);
            (counts.waiting, counts.blocked, counts.cancelled, state)
        };
        assert_eq!(seen(&plain), (7, 0, 0, JobState::Running));
        let start_after = Some(NOW + std::time::Duration::from_secs(1));
        let options = JobOptions { start_after, ..JobOptions::default() };
        assert_eq!(seen(&Job { options, ..plain.clone() }), (1, 6, 0, JobState::Running));
        assert_eq!(seen(&Job { unmet: 1, ..plain.clone() }), (1, 6, 0, JobState::Running));
        let blocked = job(WrittenCounts { blocked: 1, ..counts });
        let each = Job { is_element_wise: true, ..blocked.clone() };
        assert_eq!(
            (seen(&blocked), seen(&each)),
            ((6, 1, 0, JobState::Running), (0, 7, 0, JobState::Running))
        );
        let stopped = Some((StopCause::DependencyFailed, Some(JobId(3))));
        assert_eq!(seen(&Job { stopped, unmet: 1, ..plain }), (1, 0, 6, JobState::Running));
    }

    #[test]
    fn cause_of_a_stop_names_the_other_job() {
        let stopped =
            |cause| info(&Job { stopped: Some(cause), ..job(WrittenCounts::default()) }, Vec::new(), NOW);
        let shown = stopped((StopCause::DependencyFailed, Some(JobId(3))));
        assert_eq!((shown.stopped, shown.stopped_by), (Some(StopCause::DependencyFailed), Some(3)));
        let shown = stopped((StopCause::Expired, None));
        assert_eq!((shown.stopped, shown.stopped_by), (Some(StopCause::Expired), None));
    }
}
