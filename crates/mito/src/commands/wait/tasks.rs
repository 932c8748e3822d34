//! Waits for some tasks of a job.

use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_domain::selector::TaskSet;
use mitosis_protocol::ShellCode;
use mitosis_protocol::job::{JobCounts, JobTask, JobTasksRequest, TaskCondition, TaskSelection};

use super::Until;
use super::verdict::Verdict;
use crate::commands::select_jobs::{self, Target};
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::{JobTaskShown, Output};
use crate::task_io::exit::TaskExit;

/// The pause between two looks at the tasks; it doubles up to a limit.
const MIN_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(2);
const LATER: &str = "the tasks continue; wait again later";

const UNFINISHED: [TaskCondition; 2] = [TaskCondition::Waiting, TaskCondition::Running];
const UNSUCCESSFUL: [TaskCondition; 3] =
    [TaskCondition::Failed, TaskCondition::TimedOut, TaskCondition::Cancelled];

/// Waits for tasks of a job, and prints a line for each at the end.
pub(super) async fn wait(
    job: i64,
    tasks: &TaskSet,
    identity: &Identity,
    until: Until,
    reconnect: &mut Reconnect,
    verdict: &mut Verdict,
    out: &Output,
) -> Result<(), Failure> {
    let client = &identity.client;
    let selection = select_jobs::selection(tasks);
    let mut pause = MIN_PAUSE;
    while exists(client, job, &selection, &UNFINISHED, reconnect).await? {
        if until == Until::FirstFailure && exists(client, job, &selection, &UNSUCCESSFUL, reconnect).await? {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    let found = select_jobs::tasks(client, job, &selection, u64::MAX).await?;
    if found.is_empty() {
        let selector = Target::Job(job, tasks.clone()).selector();
        return Err(Failure::new(Exit::NotFound, format!("nothing to wait for: no task is `{selector}`"))
            .with_hint(format!("`mito show {job}` shows how many tasks the job has")));
    }
    let code = match &found[..] {
        [task] => exit(client, job, task, out).await,
        _ => None,
    };
    verdict.add_counts(job, &counts(&found), code);
    let mut rows = out.sentences();
    found.into_iter().try_for_each(|task| rows.push(&JobTaskShown::new(job, task)))?;
    rows.finish()
}

/// Whether a selected task is in one of these states.
async fn exists(
    client: &UserClient,
    job: i64,
    selection: &TaskSelection,
    states: &[TaskCondition],
    reconnect: &mut Reconnect,
) -> Result<bool, Failure> {
    let selection = TaskSelection { states: states.to_vec(), ..selection.clone() };
    let request = JobTasksRequest { selection, limit: Some(1), ..JobTasksRequest::default() };
    let reply = reconnect.retry(async || client.job_tasks(job, &request).await, LATER).await?;
    Ok(!reply.tasks.is_empty())
}

/// The exit code of a single task. Prints the reason of its end, if the code does not show it.
async fn exit(client: &UserClient, job: i64, task: &JobTask, out: &Output) -> Option<ShellCode> {
    let info = task.task.as_ref()?;
    let (code, reason) = TaskExit::from_info(info)?.describe(client, info.uuid).await;
    if let Some(reason) = reason {
        out.say(format_args!("mito: {job}/{}: {reason}", task.index));
    }
    Some(code)
}

fn counts(tasks: &[JobTask]) -> JobCounts {
    let mut counts = JobCounts::default();
    for task in tasks {
        let count = match task.state {
            TaskCondition::Waiting => &mut counts.waiting,
            TaskCondition::Running => &mut counts.running,
            TaskCondition::Succeeded => &mut counts.succeeded,
            TaskCondition::Failed => &mut counts.failed,
            TaskCondition::TimedOut => &mut counts.timed_out,
            TaskCondition::Cancelled => &mut counts.cancelled,
        };
        *count += 1;
    }
    counts
}
