//! Plans jobs: writes their next tasks, releases held ones, stops and ends them.
//!
//! A job is planned when a commit of this coordinator has changed it, when the time for its next step has come, and when
//! the pass over all active jobs reaches it. [`Snapshot::next`] decides what to do, and each operation checks its condition
//! again. So any number of coordinators may plan the same job, and a lost hint costs a few seconds.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use mitosis_domain::backoff::Backoff;
use mitosis_domain::ids::JobId;
use mitosis_domain::job_plan::{Snapshot, Step};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::StopCause;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_store::StoreError;
use mitosis_store::ops::jobs::NeededArtifact;
use mitosis_store::ops::tasks::NewTask;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::agenda::Agenda;
use super::blueprints::{BlueprintError, UnusableBlueprint, blocking};
use crate::app::App;
use crate::error::chain;
use crate::publish::MayWake;

/// Jobs that are planned at the same time.
const CONCURRENCY: usize = 8;
/// Steps of one job before others have their turn.
const MAX_STEPS: u32 = 16;
/// The first and the longest wait after a failure, or after a step that changed nothing.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The longest time until a planned step; later ones are planned again at that time.
const HORIZON: Duration = Duration::from_hours(1);

/// Jobs that have changed since they were planned last; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlanQueue(Arc<Hints>);

#[derive(Debug, Default)]
struct Hints {
    jobs: Mutex<HashSet<JobId>>,
    changed: Notify,
}

impl PlanQueue {
    /// Plans jobs soon.
    pub(crate) fn changed(&self, jobs: &[JobId], _: MayWake) {
        self.add(jobs);
    }

    /// Plans jobs that may have changed elsewhere.
    pub(crate) fn visit(&self, jobs: &[JobId]) {
        self.add(jobs);
    }

    fn add(&self, jobs: &[JobId]) {
        if !jobs.is_empty() {
            self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
            self.0.changed.notify_one();
        }
    }

    /// Waits for jobs to plan, and takes all of them. Nothing is lost if the future is dropped.
    pub(crate) async fn take(&self) -> HashSet<JobId> {
        loop {
            let jobs = std::mem::take(&mut *self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner));
            if !jobs.is_empty() {
                return jobs;
            }
            self.0.changed.notified().await;
        }
    }
}

/// Plans jobs until the application stops.
pub(crate) async fn serve(app: App) {
    let mut planner = Planner::new(app.clone());
    while !app.stopping.is_cancelled() {
        planner.start_due();
        let due = planner.next_start();
        tokio::select! {
            jobs = app.jobs.plan_queue.take() => planner.add(jobs),
            Some((job, outcome)) = planner.running.next() => planner.finished(job, outcome),
            () = tokio::time::sleep_until(due) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

/// When a job has to be planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// When it has changed; it may have ended.
    Changed,
    /// At this time.
    At(Timestamp),
    /// At once: there may be more steps.
    Now,
    /// After a wait: the last step changed nothing.
    Stuck,
}

type Outcome = Result<Next, StoreError>;

/// The jobs to plan, and those that are being planned.
struct Planner {
    app: App,
    agenda: Agenda,
    running: FuturesUnordered<BoxFuture<'static, (JobId, Outcome)>>,
    in_progress: HashSet<JobId>,
    /// The wait before the next try, for jobs whose last plan failed.
    failing: HashMap<JobId, Backoff>,
}

impl Planner {
    fn new(app: App) -> Self {
        Self {
            app,
            agenda: Agenda::default(),
            running: FuturesUnordered::new(),
            in_progress: HashSet::new(),
            failing: HashMap::new(),
        }
    }

    fn add(&mut self, jobs: HashSet<JobId>) {
        let now = Instant::now();
        for job in jobs {
            // A job that fails is not tried more often because it changes.
            if !self.failing.contains_key(&job) {
                self.agenda.add(job, now);
            }
        }
    }

    /// When [`Self::start_due`] has something to do, unless a plan finishes before.
    fn next_start(&self) -> Instant {
        match self.agenda.next() {
            Some(due) if self.running.len() < CONCURRENCY => due,
            _ => Instant::now() + HORIZON,
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        while self.running.len() < CONCURRENCY
            && let Some(job) = self.agenda.pop(now)
        {
            if self.in_progress.insert(job) {
                let app = self.app.clone();
                self.running.push(async move { (job, plan(&app, job).await) }.boxed());
            } else {
                self.agenda.rest(job, now);
                self.agenda.add(job, now);
            }
        }
    }

    fn finished(&mut self, job: JobId, outcome: Outcome) {
        let now = Instant::now();
        self.in_progress.remove(&job);
        self.agenda.rest(job, now);
        let again = match outcome {
            Ok(Next::Stuck) => Some(now + self.wait(job)),
            Err(error) => {
                report(job, &error);
                Some(now + self.wait(job))
            }
            Ok(next) => {
                self.failing.remove(&job);
                self.instant(next, now)
            }
        };
        if let Some(at) = again {
            self.agenda.add(job, at);
        }
    }

    fn instant(&self, next: Next, now: Instant) -> Option<Instant> {
        match next {
            Next::Changed | Next::Stuck => None,
            Next::Now => Some(now),
            Next::At(at) => Some(now + at.since(self.app.now()).min(HORIZON)),
        }
    }

    fn wait(&mut self, job: JobId) -> Duration {
        let (first, longest) = BACKOFF;
        let backoff = self.failing.entry(job).or_insert_with(|| Backoff::new(first, longest));
        backoff.next_wait(self.app.entropy.fraction())
    }
}

fn report(job: JobId, error: &StoreError) {
    let cause = chain(error);
    if error.is_transient() {
        tracing::debug!(job = job.0, cause, "failed to plan a job; it will be retried");
    } else {
        tracing::error!(job = job.0, cause, "failed to plan a job; it will be retried");
    }
}

/// Does the next steps of a job.
async fn plan(app: &App, job: JobId) -> Outcome {
    for _ in 0..MAX_STEPS {
        let now = app.now();
        let Some(snapshot) = app.store.job_snapshot(job, now).await? else { return Ok(Next::Changed) };
        let progress = match snapshot.next(now) {
            Step::Wait => return Ok(Next::Changed),
            Step::WaitUntil(at) => return Ok(Next::At(at)),
            Step::Stop(cause) => stop(app, job, cause).await?,
            Step::Cut(by) => cut(app, job, by).await?,
            Step::Write(count) => write(app, job, &snapshot, count).await?,
            Step::Release(count) => {
                Progress::made(app.publish(app.store.release_tasks(job, count, now).await?) > 0)
            }
            Step::End => Progress::made(app.publish(app.store.end_job(job, now).await?)),
        };
        if progress == Progress::None {
            return Ok(Next::Stuck);
        }
    }
    Ok(Next::Now)
}

/// Whether a step changed the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Made,
    /// Another coordinator was faster, or the job can't continue for a reason that its snapshot does not have.
    None,
}

impl Progress {
    const fn made(is_made: bool) -> Self {
        if is_made { Self::Made } else { Self::None }
    }
}

/// Cancels the remaining tasks.
async fn stop(app: &App, job: JobId, cause: StopCause) -> Result<Progress, StoreError> {
    while app.publish(app.store.stop_job(job, cause, app.now()).await?) {
        tokio::task::yield_now().await;
    }
    tracing::info!(job = job.0, ?cause, "stopped a job");
    Ok(Progress::Made)
}

/// Writes no more tasks, because those of another job that they need never succeed.
async fn cut(app: &App, job: JobId, by: JobId) -> Result<Progress, StoreError> {
    let is_cut = app.publish(app.store.cut_job(job, by, app.now()).await?);
    if is_cut {
        tracing::info!(
            job = job.0,
            needed = by.0,
            "a job writes no more tasks: those that they need did not succeed"
        );
    }
    Ok(Progress::made(is_cut))
}

/// Writes the next tasks. A job whose blueprint can't be used is stopped: it would fail again.
async fn write(app: &App, job: JobId, snapshot: &Snapshot, count: u64) -> Result<Progress, StoreError> {
    let tasks = match next_tasks(app, job, snapshot, count).await {
        Ok(Some(tasks)) => tasks,
        Ok(None) => return Ok(Progress::None),
        Err(BlueprintError::Store(error)) => return Err(error),
        Err(BlueprintError::Unusable(error)) => {
            tracing::error!(job = job.0, cause = chain(&error), "a job can't be expanded; it is cancelled");
            return stop(app, job, StopCause::Cancelled).await;
        }
    };
    Ok(Progress::made(app.publish(app.store.write_tasks(job, snapshot.written, &tasks, app.now()).await?)))
}

/// The tasks after those that are written; `None` if the job is gone.
async fn next_tasks(
    app: &App,
    job: JobId,
    snapshot: &Snapshot,
    count: u64,
) -> Result<Option<Vec<NewTask>>, BlueprintError> {
    let Some(blueprint) = app.jobs.blueprints.get(&*app.store, job).await? else { return Ok(None) };
    let (written, priority, entropy) = (snapshot.written, snapshot.priority, app.entropy.clone());
    let tasks = blocking(move || blueprint.tasks(written, count, priority, &*entropy)).await;
    let mut tasks = tasks.map_err(UnusableBlueprint::from)??;
    if snapshot.is_fetching {
        let artifacts = app.store.needed_artifacts(job, written, tasks.len() as u64).await?;
        add_artifacts(&mut tasks, written, artifacts);
    }
    Ok(Some(tasks))
}

/// Adds the artifacts that tasks after the first `written` fetch from those that they need.
fn add_artifacts(tasks: &mut [NewTask], written: u64, artifacts: Vec<NeededArtifact>) {
    for NeededArtifact { index, task, content_type, local_path } in artifacts {
        let place = index.checked_sub(written + 1).and_then(|place| usize::try_from(place).ok());
        if let Some(fetching) = place.and_then(|place| tasks.get_mut(place)) {
            let remote_file = RemoteFile::Artifact { uuid: task, content_type };
            fetching.spec.resources.push(ResourceDownload { remote_file, local_path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changed_jobs_are_taken_once() {
        let queue = PlanQueue::default();
        assert!(queue.take().now_or_never().is_none());
        queue.changed(&[JobId(1), JobId(2), JobId(1)], MayWake::in_test());
        queue.visit(&[JobId(2), JobId(3)]);
        assert_eq!(queue.take().now_or_never(), Some(HashSet::from([JobId(1), JobId(2), JobId(3)])));
        queue.visit(&[]);
        assert!(queue.take().now_or_never().is_none());
        let (taken, ()) = tokio::join!(queue.take(), async { queue.visit(&[JobId(4)]) });
        assert_eq!(taken, HashSet::from([JobId(4)]));
    }
}
