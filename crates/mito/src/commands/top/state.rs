//! What `mito top` shows: active jobs, workers, and sums.

use mitosis_client::{ClientError, UserClient};
use mitosis_protocol::job::{JobCounts, JobInfo, JobsRequest, MAX_PAGE};
use mitosis_protocol::worker::QueryWorkersRequest;

use crate::process::failure::Failure;
use crate::show::redraw::{height, rows_below};
use crate::show::{JobShown, Output, SiteWorkerShown, TopShown, TopTotals, WorkerShown};

/// The state of a moment.
pub(super) struct State {
    /// Jobs that have not ended, newest first.
    pub(super) jobs: Vec<JobShown>,
    workers: Workers,
}

/// The workers that the user may see.
enum Workers {
    /// Those of the site, for an administrator.
    OfSite(Vec<SiteWorkerShown>),
    /// Those of the user's own group. The number of their slots is not known.
    OfGroup(Vec<WorkerShown>),
}

impl State {
    /// Reads the jobs of a user, or those of all users.
    pub(super) async fn read(client: &UserClient, creator: Option<&str>) -> Result<Self, Failure> {
        let site_workers = unless_forbidden(site_workers(client).await)?;
        let request =
            JobsRequest { creator: creator.map(str::to_owned), active: true, ..JobsRequest::default() };
        let jobs = match (&site_workers, creator) {
            (Some(_), None) => site_jobs(client, request).await?,
            _ => jobs(client, request).await?,
        };
        let workers = match site_workers {
            Some(workers) => Workers::OfSite(workers),
            None => Workers::OfGroup(group_workers(client).await?),
        };
        Ok(Self { jobs: jobs.into_iter().map(JobShown::from).collect(), workers })
    }

    pub(super) fn totals(&self, per_second: Option<f64>) -> TopTotals {
        let sum =
            |count: fn(&JobCounts) -> u64| self.jobs.iter().map(|job| count(&job.info().counts)).sum::<u64>();
        let (workers, slots, held) = match &self.workers {
            Workers::OfSite(all) => {
                let slots = all.iter().map(|worker| u64::from(worker.info().slots)).sum();
                let busy = all.iter().map(|one| one.info().held_tasks.min(one.info().slots.into())).sum();
                (all.len(), Some(slots), Some(busy))
            }
            Workers::OfGroup(all) => (all.len(), None, None),
        };
        TopTotals {
            jobs: self.jobs.len() as u64,
            tasks: self.jobs.iter().map(|job| job.info().tasks).sum(),
            waiting: sum(|counts| counts.waiting + counts.blocked),
            running: sum(|counts| counts.running),
            ended: sum(JobCounts::ended),
            failed: sum(|counts| counts.failed + counts.timed_out),
            ended_per_second: per_second,
            workers: workers as u64,
            slots,
            busy_slots: held,
        }
    }

    /// The lines of a frame, as many as the terminal has.
    pub(super) fn lines(&self, per_second: Option<f64>, out: &Output) -> Result<Vec<String>, Failure> {
        self.lines_within(per_second, height(), out)
    }

    fn lines_within(
        &self,
        per_second: Option<f64>,
        height: Option<usize>,
        out: &Output,
    ) -> Result<Vec<String>, Failure> {
        let newest = self.jobs.iter().map(|job| job.info().created_at).max();
        let out = out.again(newest.unwrap_or(mitosis_protocol::Timestamp::UNIX_EPOCH));
        let mut lines = self.totals(per_second).sentences();
        // An empty line and the titles of each table.
        let room = rows_below(lines.len() + 4, height);
        let workers = self.workers.len();
        let jobs = self.jobs.len().min(room.saturating_sub(workers.min(room / 3)).max(1));
        lines.push(String::new());
        lines.extend(out.lines(self.jobs.iter().take(jobs))?);
        let shown = workers.min(room.saturating_sub(jobs));
        if shown > 0 {
            lines.push(String::new());
            lines.extend(self.workers.lines(shown, &out)?);
        }
        lines.truncate(rows_below(0, height));
        Ok(lines)
    }
}

impl Workers {
    fn len(&self) -> usize {
        match self {
            Self::OfSite(all) => all.len(),
            Self::OfGroup(all) => all.len(),
        }
    }

    fn lines(&self, most: usize, out: &Output) -> Result<Vec<String>, Failure> {
        match self {
            Self::OfSite(all) => out.lines(all.iter().take(most)),
            Self::OfGroup(all) => out.lines(all.iter().take(most)),
        }
    }
}

/// Prints the state once.
pub(super) fn print(state: &State, out: &Output) -> Result<(), Failure> {
    let totals = state.totals(None);
    if out.is_for_programs() {
        let workers = match &state.workers {
            Workers::OfSite(all) => serde_json::to_value(all),
            Workers::OfGroup(all) => serde_json::to_value(all),
        };
        let workers = workers.map_err(|error| Failure::io("cannot write the workers", error.into()))?;
        return out.one(&TopShown::new(totals, state.jobs.clone(), workers));
    }
    totals.sentences().iter().try_for_each(|line| out.heading(line))?;
    out.all(&state.jobs)?;
    match &state.workers {
        Workers::OfSite(all) => out.all(all),
        Workers::OfGroup(all) => out.all(all),
    }
}

/// `None` if the user may not see it, or the coordinator is too old.
fn unless_forbidden<T>(reply: Result<T, ClientError>) -> Result<Option<T>, Failure> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn site_workers(client: &UserClient) -> Result<Vec<SiteWorkerShown>, ClientError> {
    let (mut workers, mut after) = (Vec::new(), None);
    loop {
        let page = client.all_workers(after).await?;
        workers.extend(page.workers.into_iter().map(SiteWorkerShown::from));
        after = page.next;
        if after.is_none() {
            return Ok(workers);
        }
    }
}

async fn group_workers(client: &UserClient) -> Result<Vec<WorkerShown>, Failure> {
    let found = client.query_workers(&QueryWorkersRequest::default()).await?;
    let shown = |worker| WorkerShown::of_group(worker, &found.group_name);
    Ok(found.workers.into_iter().map(shown).collect())
}

async fn jobs(client: &UserClient, mut request: JobsRequest) -> Result<Vec<JobInfo>, Failure> {
    request.limit = Some(MAX_PAGE);
    let mut jobs = Vec::new();
    loop {
        let mut page = client.jobs(&request).await?;
        jobs.append(&mut page.jobs);
        request.before = page.next;
        if request.before.is_none() {
            return Ok(jobs);
        }
    }
}

async fn site_jobs(client: &UserClient, mut request: JobsRequest) -> Result<Vec<JobInfo>, Failure> {
    request.limit = Some(MAX_PAGE);
    let mut jobs = Vec::new();
    loop {
        let mut page = client.all_jobs(&request).await?;
        jobs.append(&mut page.jobs);
        request.before = page.next;
        if request.before.is_none() {
            return Ok(jobs);
        }
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::job::JobState;

    use super::*;
    use crate::show::example_job;

    fn job(job: i64) -> JobShown {
        JobShown::from(JobInfo {
            state: JobState::Running,
            tasks: 10,
            counts: JobCounts { running: 1, waiting: 4, succeeded: 5, ..JobCounts::default() },
            ..example_job(job)
        })
    }

    #[test]
    fn frame_has_the_height_of_the_terminal() {
        let state = State { jobs: (1..=50).rev().map(job).collect(), workers: Workers::OfGroup(Vec::new()) };
        let out = Output::at_a_terminal(40);
        let lines = |height| state.lines_within(Some(1.5), Some(height), &out).unwrap();
        for height in [12, 40, 50] {
            let lines = lines(height);
            assert!(lines.len() < height && lines.len() + 3 >= height, "{height}: {}", lines.len());
            assert!(lines[0].starts_with("50 active jobs: 50 running, 200 waiting, 250/500 tasks ended"));
        }
        assert!(lines(2).len() <= 1);
        let few = State { jobs: vec![job(1)], ..state };
        assert_eq!(few.lines_within(None, Some(40), &out).unwrap().len(), 5);
    }
}
