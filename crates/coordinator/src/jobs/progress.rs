//! The progress of jobs, read once for all streams and held requests of this coordinator.
//!
//! One task reads all jobs that are followed and have changed, in one query, a few times a second. Nothing is read while no
//! job is followed, and nothing depends on the number of tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::ids::{GroupId, JobId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobInfo, JobNeed, NeedKind};
use mitosis_store::ops::jobs::{Job, JobQuery};
use mitosis_store::{Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::view;
use crate::app::App;
use crate::error::chain;
use crate::publish::MayWake;

/// The shortest time between two reads.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long to rely on the effects of commits: other coordinators change jobs, too.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Jobs in one query.
const PAGE: usize = 1_000;

/// What was read of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum JobView {
    /// Nothing yet.
    #[default]
    Unread,
    /// The job.
    Found(Arc<JobInfo>),
    /// There is no such job any more.
    Gone,
}

impl JobView {
    /// Whether nothing follows.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Unread => false,
            Self::Found(info) => info.ended_at.is_some(),
            Self::Gone => true,
        }
    }
}

/// The jobs that are followed; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    topics: Mutex<HashMap<JobId, Topic>>,
    /// Notified when a followed job may have changed.
    wanted: Notify,
    /// Counts the reads in which a followed job has ended.
    ends: watch::Sender<u64>,
}

#[derive(Debug)]
struct Topic {
    group: GroupId,
    view: watch::Sender<JobView>,
    is_stale: bool,
}

impl Default for Inner {
    fn default() -> Self {
        Self { topics: Mutex::default(), wanted: Notify::new(), ends: watch::Sender::new(0) }
    }
}

impl Progress {
    /// Reads jobs soon, if they are followed.
    pub(crate) fn changed(&self, jobs: &[JobId], _: MayWake) {
        let mut topics = self.topics();
        if topics.is_empty() {
            return;
        }
        let mut is_followed = false;
        for job in jobs {
            if let Some(topic) = topics.get_mut(job) {
                topic.is_stale = true;
                is_followed = true;
            }
        }
        if is_followed {
            self.0.wanted.notify_one();
        }
    }

    /// Follows a job of a group. It is read after this call.
    pub(crate) fn follow(&self, job: JobId, group: GroupId) -> Following {
        let mut topics = self.topics();
        let topic = topics.entry(job).or_insert_with(|| Topic {
            group,
            view: watch::Sender::new(JobView::Unread),
            is_stale: true,
        });
        topic.is_stale = true;
        let view = Some(topic.view.subscribe());
        self.0.wanted.notify_one();
        Following { progress: self.clone(), job, view }
    }

    /// Receives a notification after each read in which a followed job has ended.
    pub(crate) fn ends(&self) -> watch::Receiver<u64> {
        self.0.ends.subscribe()
    }

    /// The followed jobs to read, with their groups: all, or those that may have changed.
    fn take(&self, which: Which) -> Vec<(JobId, GroupId)> {
        let mut topics = self.topics();
        let wanted = topics.iter_mut().filter(|(_, topic)| which == Which::All || topic.is_stale);
        wanted
            .map(|(job, topic)| {
                topic.is_stale = false;
                (*job, topic.group)
            })
            .collect()
    }

    /// What was read of a job last.
    fn view_of(&self, job: JobId) -> Option<Arc<JobInfo>> {
        match &*self.topics().get(&job)?.view.borrow() {
            JobView::Found(info) => Some(info.clone()),
            JobView::Unread | JobView::Gone => None,
        }
    }

    /// Passes on what was read of some jobs.
    fn publish(&self, read: impl Iterator<Item = (JobId, JobView)>) {
        let mut has_end = false;
        let topics = self.topics();
        for (job, view) in read {
            let Some(topic) = topics.get(&job) else { continue };
            let is_end = view.is_final();
            let is_new = topic.view.send_if_modified(|last| {
                let is_new = *last != view;
                *last = view;
                is_new
            });
            has_end |= is_new && is_end;
        }
        if has_end {
            self.0.ends.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<JobId, Topic>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one job.
#[derive(Debug)]
pub(crate) struct Following {
    progress: Progress,
    job: JobId,
    view: Option<watch::Receiver<JobView>>,
}

impl Following {
    /// The next change; only the last one if several were missed.
    pub(crate) async fn next(&mut self) -> JobView {
        if let Some(view) = &mut self.view
            // The sender lives as long as this does.
            && view.changed().await.is_ok()
        {
            return view.borrow_and_update().clone();
        }
        std::future::pending().await
    }

    /// Whether nothing follows the last change.
    pub(crate) fn is_final(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.borrow().is_final())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut topics = self.progress.topics();
        self.view = None;
        if topics.get(&self.job).is_some_and(|topic| topic.view.receiver_count() == 0) {
            topics.remove(&self.job);
        }
    }
}

/// Which followed jobs to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Stale,
}

/// Reads followed jobs until the application stops.
pub(crate) async fn serve(app: App) {
    let mut last_full = Instant::now();
    while !app.stopping.is_cancelled() {
        tokio::select! {
            () = app.jobs.progress.0.wanted.notified() => {}
            () = tokio::time::sleep_until(last_full + POLL_INTERVAL) => {}
            () = app.stopping.cancelled() => return,
        }
        let is_full = last_full.elapsed() >= POLL_INTERVAL;
        if is_full {
            last_full = Instant::now();
        }
        let jobs = app.jobs.progress.take(if is_full { Which::All } else { Which::Stale });
        if let Err(error) = read(&app, &jobs).await {
            // The next full read includes all of them.
            tracing::debug!(cause = chain(&error), "failed to read jobs; their streams wait");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn read(app: &App, jobs: &[(JobId, GroupId)]) -> Result<(), StoreError> {
    for page in jobs.chunks(PAGE) {
        let groups: BTreeSet<GroupId> = page.iter().map(|(_, group)| *group).collect();
        let query = JobQuery {
            groups: groups.into_iter().collect(),
            ids: Some(page.iter().map(|(job, _)| job.0).collect()),
            limit: page.len() as u64,
            ..JobQuery::default()
        };
        let found = app.store.jobs(&query).await?;
        let mut needs = needs(&*app.store, &app.jobs.progress, &found).await?;
        let now = app.now();
        let mut views: HashMap<JobId, JobView> = page.iter().map(|(job, _)| (*job, JobView::Gone)).collect();
        views.extend(found.iter().map(|job| (job.id, found_view(job, &mut needs, now))));
        app.jobs.progress.publish(views.into_iter());
    }
    Ok(())
}

fn found_view(job: &Job, needs: &mut HashMap<JobId, Vec<JobNeed>>, now: Timestamp) -> JobView {
    JobView::Found(Arc::new(view::info(job, needs.remove(&job.id).unwrap_or_default(), now)))
}

/// What the jobs wait for. It is read again only if that has changed, because there can be a thousand for each.
async fn needs(
    store: &dyn Store,
    progress: &Progress,
    jobs: &[Job],
) -> Result<HashMap<JobId, Vec<JobNeed>>, StoreError> {
    let (mut known, mut unknown) = (HashMap::new(), Vec::new());
    for job in jobs {
        match progress.view_of(job.id).filter(|last| unmet(&last.needs) == unmet_of(job)) {
            Some(last) => drop(known.insert(job.id, last.needs.clone())),
            None => unknown.push(job.id),
        }
    }
    if !unknown.is_empty() {
        for (job, need) in store.job_needs(&unknown).await? {
            known.entry(job).or_default().push(need);
        }
    }
    Ok(known)
}

/// The number of jobs that hold a job up, and whether its tasks need those of a job that has not ended.
fn unmet(needs: &[JobNeed]) -> (u64, bool) {
    let (each, whole): (Vec<&JobNeed>, Vec<&JobNeed>) =
        needs.iter().filter(|need| !need.met).partition(|need| need.kind == NeedKind::Each);
    (whole.len() as u64, !each.is_empty())
}

fn unmet_of(job: &Job) -> (u64, bool) {
    (job.unmet, job.is_element_wise)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use mitosis_protocol::job::{JobCounts, JobOptions, JobState};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);
    const LAB: GroupId = GroupId(1);

    fn found(job: i64, running: u64, ended_at: Option<Timestamp>) -> JobView {
        JobView::Found(Arc::new(JobInfo {
            job,
            name: None,
            group: "lab".to_owned(),
            creator: "ann".to_owned(),
            labels: Vec::new(),
            priority: 0,
            state: JobState::Running,
            tasks: 10,
            counts: JobCounts { running, waiting: 10 - running, ..JobCounts::default() },
            stopped: None,
            stopped_by: None,
            needs: Vec::new(),
            options: JobOptions::default(),
            retry: None,
            limits: Vec::new(),
            created_at: NOW,
            ended_at,
        }))
    }

    #[tokio::test]
    async fn followers_of_a_job_share_each_read() {
        let progress = Progress::default();
        let (mut one, mut other) = (progress.follow(JobId(1), LAB), progress.follow(JobId(1), LAB));
        assert_eq!(progress.take(Which::Stale), [(JobId(1), LAB)]);
        assert!(progress.take(Which::Stale).is_empty() && progress.take(Which::All).len() == 1);
        let view = found(1, 3, None);
        progress.publish([(JobId(1), view.clone()), (JobId(9), JobView::Gone)].into_iter());
        assert_eq!((one.next().await, other.next().await), (view.clone(), view.clone()));
        progress.publish([(JobId(1), view)].into_iter());
        assert!(one.next().now_or_never().is_none(), "nothing has changed");
        drop(one);
        progress.changed(&[JobId(1), JobId(2)], MayWake::in_test());
        assert_eq!(progress.take(Which::Stale).len(), 1);
        drop(other);
        assert!(progress.take(Which::All).is_empty(), "it is not followed");
    }

    #[tokio::test]
    async fn end_of_any_job_is_announced_once() {
        let progress = Progress::default();
        let mut ends = progress.ends();
        let (one, two) = (progress.follow(JobId(1), LAB), progress.follow(JobId(2), LAB));
        progress.publish([(JobId(1), found(1, 3, None)), (JobId(2), found(2, 3, None))].into_iter());
        assert!(!ends.has_changed().unwrap() && !one.is_final());
        progress.publish([(JobId(2), found(2, 0, Some(NOW)))].into_iter());
        assert!(ends.has_changed().unwrap() && two.is_final() && !one.is_final());
        ends.mark_unchanged();
        progress.publish([(JobId(2), found(2, 0, Some(NOW)))].into_iter());
        assert!(!ends.has_changed().unwrap());
        progress.publish([(JobId(1), JobView::Gone)].into_iter());
        assert!(ends.has_changed().unwrap() && one.is_final(), "a deleted job does not change any more");
    }
}
