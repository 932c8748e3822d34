//! Submits tasks and jobs of tasks that record their start and end, and detect a concurrent second execution.

use std::collections::BTreeSet;
use std::time::Duration;

use mitosis_client::{Client, ClientError, EarlierTokens, UserClient};
use mitosis_protocol::Uuid;
use mitosis_protocol::job::{JobOptions, NewJob, SubmitJobsRequest};
use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};
use secrecy::SecretString;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::time::{Instant, sleep};

use super::world::{PASSWORD, World};
use crate::home::{ADMIN, task};

/// Tasks in one submission.
const BATCH: usize = 10;
/// Every submission with a multiple of this number is followed by a job.
const JOB_PERIOD: usize = 4;
/// Tasks of a job, and how many run at a time: its tasks are written in many steps.
const JOB_TASKS: u64 = 30;
const MAX_RUNNING: u64 = 3;
/// Time between two submissions.
const PERIOD: Duration = Duration::from_millis(500);
/// Time before a submission is repeated.
const RETRY: Duration = Duration::from_millis(200);
/// Time limit without a reply.
const NO_ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Load {
    pub(super) user: UserClient,
    folder: String,
    /// Every task whose submission was acknowledged.
    pub(super) acknowledged: BTreeSet<Uuid>,
    /// Every job whose submission was acknowledged.
    pub(super) jobs: Vec<i64>,
}

impl Load {
    pub(super) async fn start(world: &World) -> Self {
        let client = Client::new(&world.addresses).unwrap();
        let token = client.login(ADMIN, &SecretString::from(PASSWORD), EarlierTokens::Retain).await.unwrap();
        Self {
            user: client.with_user_token(token),
            folder: world.home.path().display().to_string(),
            acknowledged: BTreeSet::new(),
            jobs: Vec::new(),
        }
    }

    /// Submits tasks and jobs at a steady rate. Returns the number of tasks without a job.
    pub(super) async fn submit_until(&mut self, ends: Instant) -> usize {
        let mut number = 0;
        while Instant::now() < ends {
            let tasks = (0..BATCH).map(|place| self.task(number * BATCH + place)).collect();
            let acknowledged = self.submit(format!("batch-{number}"), tasks).await;
            self.acknowledged.extend(acknowledged);
            if number.is_multiple_of(JOB_PERIOD) {
                let job = self.submit_job(format!("job-{number}")).await;
                self.jobs.push(job);
            }
            number += 1;
            sleep(PERIOD).await;
        }
        self.acknowledged.len()
    }

    /// Mostly short tasks; some are long enough to meet a fault, some keep their output.
    fn task(&self, number: usize) -> SubmitTaskRequest {
        let time = match number % 20 {
            0 => "4",
            1 | 2 => "1",
            _ => "0.05",
        };
        let mut task = self.marked(time);
        task.task_spec.terminal_output = number.is_multiple_of(5);
        task
    }

    /// A task of some seconds, which holds a lock while any of its processes is alive.
    pub(super) fn marked(&self, seconds: &str) -> SubmitTaskRequest {
        let folder = &self.folder;
        let script = format!(
            "exec 9>>{folder}/locks/$MITO_TASK_UUID
             flock -n 9 || echo $MITO_TASK_UUID >>{folder}/twice
             echo $MITO_TASK_UUID >>{folder}/started
             sleep {seconds}
             echo $MITO_TASK_UUID | tee -a {folder}/ended"
        );
        task(&["sh", "-c", &script])
    }

    /// Repeats a submission until it is acknowledged.
    pub(super) async fn submit(&self, key: String, tasks: Vec<SubmitTaskRequest>) -> Vec<Uuid> {
        let request = SubmitTasksRequest { tasks, idempotency_key: Some(key) };
        let reply = repeat(async || self.user.submit_many(&request).await).await;
        let uuid = |outcome| match outcome {
            SubmitOutcome::Ok(reply) => reply.uuid,
            SubmitOutcome::Err(error) => panic!("a task was refused: {error:?}"),
        };
        reply.results.into_iter().map(uuid).collect()
    }

    /// Repeats the submission of a job until it is acknowledged. Returns its number.
    async fn submit_job(&self, key: String) -> i64 {
        let numbers = json!({"Numbers": {"first": 1, "step": 1, "count": JOB_TASKS, "width": 0}});
        let plan = json!({"factors": [{"columns": [{"name": "x", "values": numbers}]}]});
        let job = NewJob {
            name: Some(key.clone()),
            plan: Some(to_raw_value(&plan).unwrap()),
            options: JobOptions { max_running: Some(MAX_RUNNING), ..JobOptions::default() },
            ..NewJob::single(self.marked("0.05"))
        };
        let request = SubmitJobsRequest { jobs: vec![job], idempotency_key: Some(key) };
        repeat(async || self.user.submit_jobs(&request).await).await.jobs[0].job
    }
}

/// Repeats a request while the coordinators are down.
pub(super) async fn repeat<T>(mut request: impl AsyncFnMut() -> Result<T, ClientError>) -> T {
    loop {
        match tokio::time::timeout(NO_ANSWER, request()).await {
            Ok(Ok(reply)) => return reply,
            Ok(Err(error)) => {
                assert!(error.is_transient(), "{error}: {:?}", std::error::Error::source(&error));
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}
