//! Waits for whole jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::ShellCode;
use mitosis_protocol::job::{AwaitJobsRequest, JobCounts, JobInfo, MAX_AWAITED_JOBS, TaskSelection};

use super::Until;
use super::notice::WaitNotice;
use super::verdict::{Verdict, unsuccessful};
use crate::commands::select_jobs;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::rows::Rows;
use crate::show::{JobShown, Output, Progress};
use crate::task_io::exit::TaskExit;

/// How long the coordinator holds a request when the counts are shown, or looked at.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// How long it holds a request when only the end matters.
const LONG_POLL: Duration = Duration::from_secs(20);
const LATER: &str = "the jobs continue; wait again later";

/// Waits for jobs, and prints a line for the end of each.
pub(super) async fn wait(
    jobs: &[i64],
    identity: &Identity,
    until: Until,
    reconnect: &mut Reconnect,
    verdict: &mut Verdict,
    out: &Output,
) -> Result<(), Failure> {
    let client = &identity.client;
    let infos = select_jobs::infos(client, jobs).await?;
    let mut report = Report::new(client, &infos, out);
    let waited = report.wait(jobs, infos, until, reconnect).await;
    report.progress.clear();
    let infos = waited?;
    report.rows.finish()?;
    for info in infos.values() {
        verdict.add_counts(info.job, &info.counts, report.codes.get(&info.job).copied());
    }
    Ok(())
}

/// The output during a wait.
struct Report<'a> {
    client: &'a UserClient,
    progress: Progress,
    rows: Rows<'a, JobShown>,
    notice: WaitNotice<'a>,
    /// The exit codes of jobs of a single task.
    codes: BTreeMap<i64, ShellCode>,
}

impl<'a> Report<'a> {
    fn new(client: &'a UserClient, infos: &[JobInfo], out: &'a Output) -> Self {
        let total = infos.iter().map(|info| info.tasks).sum();
        Self {
            client,
            progress: out.count_progress(total, "tasks ended"),
            rows: out.sentences(),
            notice: WaitNotice::new(client, out),
            codes: BTreeMap::new(),
        }
    }

    /// Waits until the jobs have ended. Returns their last states.
    async fn wait(
        &mut self,
        order: &[i64],
        infos: Vec<JobInfo>,
        until: Until,
        reconnect: &mut Reconnect,
    ) -> Result<BTreeMap<i64, JobInfo>, Failure> {
        let mut infos: BTreeMap<i64, JobInfo> = infos.into_iter().map(|info| (info.job, info)).collect();
        let mut open = order.to_vec();
        loop {
            let (ended, left): (Vec<i64>, Vec<i64>) =
                open.iter().partition(|job| infos[*job].ended_at.is_some());
            for job in ended {
                self.ended(&infos[&job]).await?;
            }
            open = left;
            self.show(infos.values());
            let has_failed = infos.values().any(|info| unsuccessful(&info.counts) > 0);
            if open.is_empty() || until == Until::FirstFailure && has_failed {
                return Ok(infos);
            }
            self.notice.update(&self.progress, &infos, &open).await;
            let request = self.request(&open, until);
            let reply = reconnect.retry(async || self.client.await_jobs(&request).await, LATER).await?;
            if let Some(gone) =
                request.jobs.iter().find(|job| reply.jobs.iter().all(|info| info.job != **job))
            {
                return Err(select_jobs::missing(*gone));
            }
            infos.extend(reply.jobs.into_iter().map(|info| (info.job, info)));
        }
    }

    fn request(&self, open: &[i64], until: Until) -> AwaitJobsRequest {
        let is_watched = self.progress.is_shown() || until == Until::FirstFailure || self.notice.is_due();
        let wait = Some(if is_watched { COUNT_INTERVAL } else { LONG_POLL });
        AwaitJobsRequest { jobs: open.iter().take(MAX_AWAITED_JOBS).copied().collect(), wait }
    }

    /// Prints the end of a job, and the reason for the end of its only task.
    async fn ended(&mut self, info: &JobInfo) -> Result<(), Failure> {
        let reason = match info.tasks {
            1 => self.only_task(info.job).await?,
            _ => None,
        };
        self.progress.suspend(|| {
            if let Some(reason) = reason {
                note!("mito: job {}: {reason}", info.job);
            }
            self.rows.push(&JobShown::from(info.clone()))?;
            self.rows.flush()
        })
    }

    /// Records the exit code of the only task of a job. Returns the reason of its end, if the code does not show it.
    async fn only_task(&mut self, job: i64) -> Result<Option<String>, Failure> {
        let tasks = select_jobs::tasks(self.client, job, &TaskSelection::default(), 1).await?;
        let task = tasks.into_iter().next().and_then(|task| task.task);
        let Some((task, exit)) = task.and_then(|task| Some((task.uuid, TaskExit::from_info(&task)?))) else {
            return Ok(None);
        };
        let (code, reason) = exit.describe(self.client, task).await;
        self.codes.insert(job, code);
        Ok(reason)
    }

    fn show<'b>(&self, infos: impl Iterator<Item = &'b JobInfo>) {
        let sum = infos.fold(JobCounts::default(), |sum, info| JobCounts {
            running: sum.running + info.counts.running,
            succeeded: sum.succeeded + info.counts.ended(),
            failed: sum.failed + info.counts.failed + info.counts.timed_out,
            ..sum
        });
        let more =
            |count: u64, word: &str| if count == 0 { String::new() } else { format!(", {count} {word}") };
        self.progress.set(sum.succeeded);
        self.progress.say(format!(
            "tasks ended{}{}",
            more(sum.running, "running"),
            more(sum.failed, "failed")
        ));
    }
}
