//! The jobs that `mito ls` lists.

use mitosis_client::UserClient;
use mitosis_protocol::job::{JobInfo, JobsRequest, MAX_PAGE};
use mitosis_sweep::retry_transient;

use crate::cli::ls::LsArgs;
use crate::process::failure::Failure;
use crate::show::JobShown;

/// The number of ended jobs that are listed without `--limit`.
const RECENT: u64 = 20;

/// The newest jobs that are read first; most users have no more.
const FIRST_PAGE: u64 = 200;

/// Which jobs to list.
pub(super) struct JobList {
    request: JobsRequest,
    limit: Option<u64>,
}

impl JobList {
    pub(super) fn new(args: &LsArgs, user: &str) -> Self {
        let creator = (!args.all_users).then(|| user.to_owned());
        let (group, active) = (args.group.clone(), args.active);
        let request = JobsRequest { creator, group, active, ..JobsRequest::default() };
        Self { request, limit: args.limit.map(std::num::NonZeroU64::get) }
    }

    /// Reads the jobs that have not ended, and the newest others.
    pub(super) async fn read(&self, client: &UserClient) -> Result<Vec<JobShown>, Failure> {
        Ok(arranged(self.newest_and_active(client).await?, self.limit))
    }

    /// The newest jobs, and older ones that have not ended; newest first. Usually one request.
    async fn newest_and_active(&self, client: &UserClient) -> Result<Vec<JobInfo>, Failure> {
        let first = FIRST_PAGE.max(self.limit.unwrap_or(RECENT)).min(MAX_PAGE);
        let request = JobsRequest { limit: Some(first), ..self.request.clone() };
        let mut page = retry_transient(|| client.jobs(&request)).await?;
        let mut jobs = page.jobs;
        let wanted = self.limit.unwrap_or(u64::MAX);
        while let Some(before) = page.next
            && (jobs.len() as u64) < wanted
        {
            let request = JobsRequest { before: Some(before), active: true, ..self.request.clone() };
            page = retry_transient(|| client.jobs(&request)).await?;
            jobs.append(&mut page.jobs);
        }
        Ok(jobs)
    }
}

/// Puts jobs that have not ended first, and drops old ones that have.
fn arranged(newest_first: Vec<JobInfo>, limit: Option<u64>) -> Vec<JobShown> {
    let (active, ended): (Vec<_>, Vec<_>) = newest_first.into_iter().partition(|job| job.ended_at.is_none());
    let at_most = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let recent = at_most(limit.map_or(RECENT, |limit| limit.saturating_sub(active.len() as u64)));
    let all = active.into_iter().chain(ended.into_iter().take(recent));
    all.take(at_most(limit.unwrap_or(u64::MAX))).map(JobShown::from).collect()
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Timestamp;
    use mitosis_protocol::job::JobState;

    use super::*;
    use crate::show::example_job;

    fn job(job: i64, ended: bool) -> JobInfo {
        JobInfo {
            state: if ended { JobState::Succeeded } else { JobState::Waiting },
            ended_at: ended.then_some(Timestamp::UNIX_EPOCH),
            ..example_job(job)
        }
    }

    #[test]
    fn active_jobs_come_first_and_old_ended_ones_are_left_out() {
        let jobs = || (1..=50).rev().map(|number| job(number, number % 10 != 0)).collect::<Vec<_>>();
        let numbers = |limit| arranged(jobs(), limit).iter().map(|job| job.info().job).collect::<Vec<_>>();
        let all = numbers(None);
        assert_eq!(all[..6], [50, 40, 30, 20, 10, 49]);
        assert_eq!(all.len(), 25);
        assert_eq!(numbers(Some(7)), [50, 40, 30, 20, 10, 49, 48]);
        assert_eq!(numbers(Some(2)), [50, 40]);
    }
}
