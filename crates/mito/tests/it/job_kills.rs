//! Two coordinators are killed in turn while they write the tasks of jobs: nothing is lost, repeated, or over its limit.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::job::{
    JobInfo, JobOptions, JobState, JobTasksRequest, JobsRequest, NeedKind, NeededJob, NewJob, NewNeed,
    SubmitJobsRequest,
};
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::home::{Coordinator, Home, POLL_INTERVAL, task};

/// More than two chunks, so that the coordinators write tasks while others run.
const TASKS: u64 = 4_200;
/// Tasks of a job that runs two at a time, which are written one or two at a time.
const NARROW: u64 = 150;
const MAX_RUNNING: u64 = 2;
const KILLS: usize = 12;
/// Time limit for all jobs, on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Each task writes its index to a file of the job when it starts, and again when it ends.
fn job(folder: &Path, name: &str, tasks: u64) -> NewJob {
    let file = folder.join(name).display().to_string();
    let script = format!("echo {{x}} >>{file}; echo -{{x}} >>{file}");
    let numbers = json!({"Numbers": {"first": 1, "step": 1, "count": tasks, "width": 0}});
    let plan = json!({"factors": [{"columns": [{"name": "x", "values": numbers}]}]});
    NewJob {
        name: Some(name.to_owned()),
        plan: Some(to_raw_value(&plan).unwrap()),
        ..NewJob::single(task(&["sh", "-c", &script]))
    }
}

/// A wide job, beside it a narrow one, and one that needs both.
fn jobs(folder: &Path) -> SubmitJobsRequest {
    let wide = job(folder, "wide", TASKS);
    let options = JobOptions { max_running: Some(MAX_RUNNING), ..JobOptions::default() };
    let mut narrow = NewJob { options, ..job(folder, "narrow", NARROW) };
    narrow.task.priority = 1;
    let needs =
        [0, 1].map(|position| NewNeed { on: NeededJob::Position(position), kind: NeedKind::Succeeded });
    let joined = NewJob { needs: needs.to_vec(), ..job(folder, "joined", 10) };
    SubmitJobsRequest { jobs: vec![wide, narrow, joined], idempotency_key: Some("all".to_owned()) }
}

struct Pair<'a> {
    home: &'a Home,
    config: String,
    coordinators: Vec<Coordinator>,
}

impl<'a> Pair<'a> {
    async fn start(cluster: &'a Cluster) -> Self {
        let config = cluster.home.write("coordinator.toml", &cluster.config().await);
        let mut pair =
            Self { home: &cluster.home, config: config.display().to_string(), coordinators: vec![] };
        for _ in 0..2 {
            let coordinator = pair.coordinator(0).await;
            pair.coordinators.push(coordinator);
        }
        pair
    }

    async fn coordinator(&self, port: u16) -> Coordinator {
        let bind = format!("127.0.0.1:{port}");
        let args = ["coordinator", "--config", &self.config, "--bind", &bind];
        let (service, address) = self.home.start(&args, "listening address=").await;
        Coordinator { service, address: format!("http://{address}") }
    }

    fn addresses(&self) -> String {
        let each: Vec<&str> = self.coordinators.iter().map(|one| one.address.as_str()).collect();
        each.join(",")
    }

    /// Kills the older of the two, and starts it again at its address.
    async fn kill_one(&mut self) {
        let killed = self.coordinators.remove(0);
        let port = killed.port();
        killed.service.kill().await;
        let again = self.coordinator(port).await;
        self.coordinators.push(again);
    }

    async fn jobs(&self) -> Vec<JobInfo> {
        let admin = self.coordinators[1].admin().await;
        admin.jobs(&JobsRequest::default()).await.unwrap().jobs
    }
}

/// The most tasks that ran at a time, and how often each was started, by the lines of a job.
fn runs(folder: &Path, name: &str) -> (u64, BTreeMap<i64, usize>) {
    let (mut running, mut most, mut starts) = (0_u64, 0, BTreeMap::new());
    for line in std::fs::read_to_string(folder.join(name)).unwrap().lines() {
        let index: i64 = line.parse().unwrap();
        if index < 0 {
            running -= 1;
        } else {
            *starts.entry(index).or_default() += 1;
            running += 1;
            most = most.max(running);
        }
    }
    (most, starts)
}

/// Checks that the counts of a job agree with its tasks, and that each index has one task, which succeeded.
async fn check(admin: &UserClient, job: &JobInfo) {
    assert_eq!((job.state, job.counts.succeeded), (JobState::Succeeded, job.tasks), "{job:?}");
    let (mut indices, mut after) = (Vec::new(), None);
    loop {
        let request = JobTasksRequest { after, ..JobTasksRequest::default() };
        let page = admin.job_tasks(job.job, &request).await.unwrap();
        indices.extend(page.tasks.iter().map(|one| one.index));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(indices, (1..=job.tasks).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_kills_of_two_coordinators_that_write_them() {
    let cluster = Cluster::start().await;
    let mut pair = Pair::start(&cluster).await;
    let folder = cluster.home.path();
    let mut worker = cluster.home.worker(&pair.addresses(), "4").await;
    let admin = pair.coordinators[0].admin().await;
    admin.submit_jobs(&jobs(folder)).await.unwrap();

    let deadline = Instant::now() + LIMIT;
    let ended = |jobs: &[JobInfo]| jobs.iter().all(|job| job.ended_at.is_some());
    for kill in 0..KILLS {
        // The next one is killed after further progress, so that the kills spread over the run.
        let wanted = TASKS * kill as u64 / KILLS as u64;
        while pair.jobs().await.iter().map(|job| job.counts.succeeded).sum::<u64>() < wanted {
            assert!(Instant::now() < deadline, "{:?}", pair.jobs().await);
            sleep(POLL_INTERVAL).await;
        }
        pair.kill_one().await;
    }
    while !ended(&pair.jobs().await) {
        assert!(Instant::now() < deadline, "{:?}", pair.jobs().await);
        sleep(POLL_INTERVAL).await;
    }

    let (admin, jobs) = (pair.coordinators[0].admin().await, pair.jobs().await);
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        check(&admin, job).await;
        let (most, starts) = runs(folder, job.name.as_deref().unwrap());
        let again: Vec<_> = starts.iter().filter(|(_, times)| **times > 1).collect();
        assert_eq!((starts.len() as u64, again.as_slice()), (job.tasks, [].as_slice()), "{job:?}");
        assert!(job.options.max_running.is_none_or(|limit| most <= limit), "{most} ran at a time: {job:?}");
    }
    assert!(worker.is_running(), "the worker outlives the coordinators");
}
