//! The invariants after the faults have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use mitosis_protocol::job::{AwaitJobsRequest, JobState, JobTasksRequest};
use mitosis_protocol::task::{QueryTasksRequest, TaskFilter};
use mitosis_protocol::{TaskInfo, TaskState, Uuid};

use super::load::{Load, repeat};
use super::nodes::until;
use super::world::{GIVEN_AWAY, SLOTS, World, tag};

/// Time limit until all tasks have ended: a lost worker is removed, and the rest runs.
const QUIESCENCE: Duration = Duration::from_secs(120);
/// Time limit until a process that lost its task is gone.
const ORPHAN: Duration = Duration::from_secs(10);

pub(super) async fn audit(world: &mut World, load: &Load) {
    let acknowledged = &load.acknowledged;
    let limit =
        QUIESCENCE + GIVEN_AWAY + Duration::from_millis(100) * u32::try_from(acknowledged.len()).unwrap();
    until("every acknowledged task ends", limit, async || match unended(load).await {
        (0, _) => Ok(()),
        (left, first) => {
            Err(format!("{left} of {} left, such as {}", acknowledged.len(), why(load, first).await))
        }
    })
    .await;
    until("every job ends", limit, async || unended_jobs(load).await).await;
    every_worker_runs_tasks(world, load).await;

    let of_jobs = tasks_of_jobs(load).await;
    let acknowledged: BTreeSet<Uuid> = acknowledged.union(&of_jobs).copied().collect();
    let tasks = all(load).await;
    let known: BTreeSet<Uuid> = tasks.iter().map(|task| task.uuid).collect();
    let lost: Vec<_> = acknowledged.difference(&known).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let of_workers = world.workers.len() * 2 * SLOTS;
    assert_eq!(tasks.len(), acknowledged.len() + of_workers, "a repeated submission made further tasks");
    let failed: Vec<_> = tasks.iter().filter(|task| !is_success(task)).collect();
    assert!(failed.is_empty(), "{} did not succeed, as {:?}", failed.len(), failed.first());

    assert_eq!(marks(world, "twice"), BTreeMap::new(), "two executions were alive at once");
    let (started, ended) = (marks(world, "started"), marks(world, "ended"));
    let unseen: Vec<_> = acknowledged.iter().filter(|uuid| !ended.contains_key(*uuid)).collect();
    assert!(unseen.is_empty(), "ended without having run: {unseen:?}");
    let again = started.values().filter(|times| **times > 1).count();
    let ended_again = ended.values().filter(|times| **times > 1).count();
    eprintln!("{} tasks, {again} started again, {ended_again} ended again", acknowledged.len());
    until("nothing outlives its task", ORPHAN, async || match locked(world) {
        held if held.is_empty() => Ok(()),
        held => Err(format!("{held:?}")),
    })
    .await;
}

/// Fails with the jobs that have not ended.
async fn unended_jobs(load: &Load) -> Result<(), String> {
    let request = AwaitJobsRequest { jobs: load.jobs.clone(), wait: None };
    let jobs = repeat(async || load.user.await_jobs(&request).await).await.jobs;
    let left: Vec<_> = jobs.iter().filter(|job| job.ended_at.is_none()).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
}

/// The tasks of all jobs, which succeeded, each index once.
async fn tasks_of_jobs(load: &Load) -> BTreeSet<Uuid> {
    let mut tasks = BTreeSet::new();
    for job in &load.jobs {
        let info = repeat(async || load.user.job(*job).await).await.info;
        assert_eq!((info.state, info.counts.succeeded), (JobState::Succeeded, info.tasks), "{info:?}");
        let request = JobTasksRequest::default();
        let page = repeat(async || load.user.job_tasks(*job, &request).await).await.tasks;
        let indices: Vec<u64> = page.iter().map(|one| one.index).collect();
        assert_eq!(indices, (1..=info.tasks).collect::<Vec<_>>(), "{info:?}");
        tasks.extend(page.iter().map(|one| one.task.as_ref().expect("it is written").uuid));
    }
    tasks
}

/// Checks that each worker is alive and uses all of its slots.
async fn every_worker_runs_tasks(world: &mut World, load: &Load) {
    for (number, worker) in world.workers.iter_mut().enumerate() {
        worker.assert_runs();
        let task = |()| {
            let mut task = load.marked("0.05");
            task.tags = vec![tag(number)];
            task
        };
        let tasks = std::iter::repeat_n((), 2 * SLOTS).map(task).collect();
        load.submit(format!("for-{number}"), tasks).await;
    }
    until("every worker takes tasks", QUIESCENCE, async || match unended(load).await {
        (0, _) => Ok(()),
        (left, first) => Err(format!("{left} left, such as {}", why(load, first).await)),
    })
    .await;
    for coordinator in &mut world.services.coordinators {
        coordinator.assert_runs();
    }
}

fn is_success(task: &TaskInfo) -> bool {
    task.state == TaskState::Finished
        && task.result.is_some_and(|result| (result.exit_status.0, result.msg) == (0, None))
}

/// What a task waits for.
async fn why(load: &Load, task: Option<Uuid>) -> String {
    let Some(task) = task else { return "none".to_owned() };
    repeat(async || load.user.explain_task(task).await).await.text
}

/// The number of tasks that have not ended or have no result, and one of them.
async fn unended(load: &Load) -> (u64, Option<Uuid>) {
    let filter = TaskFilter {
        states: Some(vec![TaskState::Pending, TaskState::Ready, TaskState::Running]),
        ..TaskFilter::default()
    };
    let query = QueryTasksRequest { filter, limit: Some(1_000), ..QueryTasksRequest::default() };
    let found = repeat(async || load.user.query_tasks(&query).await).await;
    (found.count, found.tasks.first().map(|task| task.uuid))
}

async fn all(load: &Load) -> Vec<TaskInfo> {
    let mut tasks: Vec<TaskInfo> = Vec::new();
    loop {
        let before = tasks.last().map(|task| task.uuid);
        let query = QueryTasksRequest { limit: Some(1_000), before, ..QueryTasksRequest::default() };
        let page = repeat(async || load.user.query_tasks(&query).await).await.tasks;
        if page.is_empty() {
            return tasks;
        }
        tasks.extend(page);
    }
}

/// Counts the lines of each task in a file.
fn marks(world: &World, file: &str) -> BTreeMap<Uuid, usize> {
    let mut marks = BTreeMap::new();
    for line in std::fs::read_to_string(world.home.path().join(file)).unwrap().lines() {
        *marks.entry(line.parse().unwrap()).or_default() += 1;
    }
    marks
}

/// Tasks with a process that is still alive.
fn locked(world: &World) -> Vec<String> {
    let files = std::fs::read_dir(world.home.path().join("locks")).unwrap().map(Result::unwrap);
    files
        .filter(|file| File::open(file.path()).unwrap().try_lock().is_err())
        .map(|file| file.file_name().display().to_string())
        .collect()
}
