//! `mito ls --watch`: redraws the list every second. A pipe gets a line for each change.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobCounts, JobInfo};
use tokio::time::Instant;

use super::job_list::JobList;
use super::task_list::TaskList;
use crate::commands::select_jobs;
use crate::process::failure::Failure;
use crate::show::redraw::{self, Redraw};
use crate::show::{JobShown, Output, pluralized};

/// The time between two updates.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows jobs until interrupted.
pub(super) async fn jobs(list: &JobList, client: &UserClient, out: &Output) -> Result<(), Failure> {
    let mut screen = Screen::new(out);
    loop {
        let next = Instant::now() + INTERVAL;
        let jobs = list.read(client).await?;
        match out.is_watched() {
            true => {
                let mut lines = vec![totals(&jobs), String::new()];
                let rows = redraw::rows_below(lines.len() + 1, redraw::height());
                let out = out.again(newest(&jobs));
                lines.extend(out.lines(jobs.iter().take(rows))?);
                screen.redraw.draw(&lines, &out)?;
            }
            false => screen.print_changes(&jobs)?,
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Shows tasks of jobs until all these jobs have ended.
pub(super) async fn tasks(list: &TaskList, client: &UserClient, out: &Output) -> Result<(), Failure> {
    let mut screen = Screen::new(out);
    loop {
        let next = Instant::now() + INTERVAL;
        let jobs: Vec<JobShown> =
            select_jobs::infos(client, &list.jobs()).await?.into_iter().map(JobShown::from).collect();
        match out.is_watched() {
            true => {
                let mut lines: Vec<String> = jobs.iter().map(JobShown::sentence).collect();
                lines.push(String::new());
                let rows = redraw::rows_below(lines.len() + 1, redraw::height());
                let out = out.again(newest(&jobs));
                let tasks = list.most_interesting(client, rows as u64).await?;
                lines.extend(out.dynamic_lines(&tasks)?);
                screen.redraw.draw(&lines, &out)?;
            }
            false => screen.print_changes(&jobs)?,
        }
        if jobs.iter().all(|job| job.info().ended_at.is_some()) {
            return Ok(());
        }
        tokio::time::sleep_until(next).await;
    }
}

/// The time of the newest job, a lower bound of now.
fn newest(jobs: &[JobShown]) -> Timestamp {
    jobs.iter().map(|job| job.info().created_at).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The sums over all jobs: `3 jobs: 1 has not ended; 70/101 tasks ended, 4 running, 3 failed`.
fn totals(jobs: &[JobShown]) -> String {
    let sum = |count: fn(&JobCounts) -> u64| jobs.iter().map(|job| count(&job.info().counts)).sum::<u64>();
    let tasks: u64 = jobs.iter().map(|job| job.info().tasks).sum();
    let active = jobs.iter().filter(|job| job.info().ended_at.is_none()).count();
    let count = pluralized(jobs.len() as u64, "job");
    let ended = sum(JobCounts::ended);
    let more = |count: u64, word: &str| if count == 0 { String::new() } else { format!(", {count} {word}") };
    let running = more(sum(|counts| counts.running), "running");
    let failed = more(sum(|counts| counts.failed + counts.timed_out), "failed");
    format!("{count}, {active} active: {ended}/{} ended{running}{failed}", pluralized(tasks, "task"))
}

/// What is on the screen, or what was printed.
struct Screen<'a> {
    out: &'a Output,
    redraw: Redraw,
    printed: BTreeMap<i64, JobInfo>,
}

impl<'a> Screen<'a> {
    fn new(out: &'a Output) -> Self {
        Self { out, redraw: Redraw::default(), printed: BTreeMap::new() }
    }

    /// Prints a line for each job that has changed, oldest first.
    fn print_changes(&mut self, jobs: &[JobShown]) -> Result<(), Failure> {
        let mut rows = self.out.rows();
        for job in jobs.iter().rev() {
            let before = self.printed.insert(job.info().job, job.info().clone());
            if before.as_ref() != Some(job.info()) {
                rows.push(job)?;
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::job::JobState;

    use super::*;
    use crate::show::example_job;

    #[test]
    fn totals_are_sums_over_all_jobs() {
        let job = |job, state, counts: JobCounts| {
            let ended_at = (counts.total() == counts.ended()).then_some(Timestamp::UNIX_EPOCH);
            JobShown::from(JobInfo { state, tasks: counts.total(), counts, ended_at, ..example_job(job) })
        };
        let none = JobCounts::default();
        let running = job(
            2,
            JobState::Running,
            JobCounts { running: 4, succeeded: 60, failed: 2, timed_out: 1, ..none },
        );
        let ended = job(1, JobState::Succeeded, JobCounts { succeeded: 1, ..none });
        assert_eq!(
            totals(&[running, ended.clone()]),
            "2 jobs, 1 active: 64/68 tasks ended, 4 running, 3 failed"
        );
        assert_eq!(totals(&[ended]), "1 job, 0 active: 1/1 task ended");
        assert_eq!(totals(&[]), "0 jobs, 0 active: 0/0 tasks ended");
    }
}
