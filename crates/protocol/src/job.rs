//! Jobs: what one submission creates. Native.
//!
//! A job has a number (`12`), and its tasks are counted from 1 in the order of the parameters (`12/7`). The coordinator
//! keeps the task and its parameters as they were submitted, and writes the tasks when they can run soon.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::limit::LimitUse;
use crate::notify::{NotificationInfo, Notify};
use crate::retry::RetryPolicy;
use crate::task::{SubmitTaskRequest, TaskInfo};
use crate::usage::AttemptUsage;
use crate::{ArtifactKind, Timestamp, Uuid, timestamp};

/// Most jobs in one submission.
pub const MAX_JOBS: usize = 20_000;

/// Most jobs that one job may wait for.
pub const MAX_NEEDS: usize = 20_000;

/// Most jobs whose tasks the tasks of one job may wait for, each for that with its index.
pub const MAX_EACH_NEEDS: usize = 60;

/// Most artifacts of needed jobs that each task of a job fetches.
pub const MAX_JOB_RESOURCES: usize = 100;

/// Most jobs or tasks in one page.
pub const MAX_PAGE: u64 = 10_000;

/// Most jobs that one request can wait for.
pub const MAX_AWAITED_JOBS: usize = 1_000;

/// The state of a job, derived from the numbers of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for another job, or for its start time.
    Blocked,
    /// No task has started.
    Waiting,
    /// Tasks have started, and not all have ended.
    Running,
    /// It is paused: no task starts. Tasks that run continue.
    Paused,
    /// All tasks ended with success.
    Succeeded,
    /// All tasks ended, and at least one failed.
    Failed,
    /// All tasks ended, none failed, and at least one was cancelled.
    Cancelled,
}

/// How many tasks of a job are in each state. Tasks that are not written yet are included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCounts {
    /// Tasks that wait for a worker.
    pub waiting: u64,
    /// Tasks that wait for another job, for a task of another job, or for the start time of the job.
    pub blocked: u64,
    /// Tasks that a worker holds.
    pub running: u64,
    /// Tasks that ended with status 0.
    pub succeeded: u64,
    /// Tasks that ended with another status, never started, or lost an output.
    pub failed: u64,
    /// Tasks that were stopped at their timeout.
    pub timed_out: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
}

/// How a task of a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// With status 0.
    Succeeded,
    /// With another status, without having started, or without an output.
    Failed,
    /// At its timeout.
    TimedOut,
    /// A user, or the coordinator on behalf of the job, cancelled it.
    Cancelled,
}

/// Why the remaining tasks of a job were cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A user cancelled the job.
    Cancelled,
    /// More tasks failed than `max_failures` allows.
    MaxFailures,
    /// The time `expires_at` has come.
    Expired,
    /// A job that it needs did not succeed, or none of the tasks that its remaining tasks need can succeed.
    DependencyFailed,
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeedKind {
    /// The other job has succeeded.
    Succeeded,
    /// The other job has ended, however.
    Ended,
    /// Each task waits for the success of the task with the same index. Both jobs have the same number of tasks.
    Each,
}

/// A job that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobNeed {
    /// Its number.
    pub job: i64,
    /// What has to happen.
    pub kind: NeedKind,
    /// Whether it has happened; for `each`, whether the other job has ended.
    pub met: bool,
}

/// A job that a new job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeededJob {
    /// An existing job, by its number.
    Job(i64),
    /// A job of the same request, by its position from 0. It has to come earlier.
    Position(usize),
}

/// A dependency of a new job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewNeed {
    /// The job that has to end first.
    pub on: NeededJob,
    /// What has to happen.
    pub kind: NeedKind,
}

/// An artifact of a needed job, which each task fetches before it starts. For `each`, it is that of the task with
/// the same index; otherwise, the needed job has one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobResource {
    /// The needed job.
    pub from: NeededJob,
    /// The kind of the artifact.
    pub content_type: ArtifactKind,
    /// The destination, relative to the resource directory; not absolute and without `..`.
    pub local_path: String,
}

/// Limits and times of a job; all can be absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobOptions {
    /// Whether the job is paused: no task starts.
    #[serde(default)]
    pub paused: bool,
    /// No task starts before this time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub start_after: Option<Timestamp>,
    /// Tasks that have not started at this time are cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub expires_at: Option<Timestamp>,
    /// Most tasks that run at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u64>,
    /// The remaining tasks are cancelled when more than this number have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u64>,
}

/// A job to submit: a task with placeholders, and the parameters to fill them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewJob {
    /// A name for people; need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The task. With parameters, `{name}` in the command, variables, labels and resources is replaced by a value.
    pub task: SubmitTaskRequest,
    /// The parameters and their combinations; left out for a single task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Box<RawValue>>,
    /// Jobs that have to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<NewNeed>,
    /// Artifacts of needed jobs that the tasks fetch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<JobResource>,
    /// Limits and times.
    #[serde(default)]
    pub options: JobOptions,
    /// When tasks get further attempts by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// What each task uses of named limits of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitUse>,
    /// URLs that get a request when it ends, at most [`MAX_NOTIFICATIONS`](crate::notify::MAX_NOTIFICATIONS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
}

impl NewJob {
    /// A job of one task, which needs nothing and has no limits.
    pub fn single(task: SubmitTaskRequest) -> Self {
        Self {
            name: None,
            task,
            plan: None,
            needs: Vec::new(),
            resources: Vec::new(),
            options: JobOptions::default(),
            retry: None,
            limits: Vec::new(),
            notify: Vec::new(),
        }
    }
}

/// `POST /v1/jobs`. All jobs are accepted, or none.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmitJobsRequest {
    /// The jobs.
    pub jobs: Vec<NewJob>,
    /// Makes the request safe to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A submitted job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedJob {
    /// Its number.
    pub job: i64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many tasks it has.
    pub tasks: u64,
    /// The group.
    pub group: String,
}

/// Reply to [`SubmitJobsRequest`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmitJobsReply {
    /// The jobs, in the order of the request.
    pub jobs: Vec<SubmittedJob>,
    /// Whether an earlier request with the same key submitted them.
    #[serde(default)]
    pub replayed: bool,
    /// What the caller should know, such as that no worker offers what the tasks request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A job and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobInfo {
    /// The number.
    pub job: i64,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The group.
    pub group: String,
    /// The user who submitted it.
    pub creator: String,
    /// The labels of the job; those of its tasks may contain parameters.
    pub labels: Vec<String>,
    /// The priority; larger goes first within the group.
    pub priority: i32,
    /// The state.
    pub state: JobState,
    /// How many tasks it has.
    pub tasks: u64,
    /// How many of them are in each state.
    pub counts: JobCounts,
    /// Why its remaining tasks were cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopCause>,
    /// The job that did not succeed, for [`StopCause::DependencyFailed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<i64>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobNeed>,
    /// Limits and times.
    #[serde(flatten)]
    pub options: JobOptions,
    /// When tasks get further attempts by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// What each task uses of named limits of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitUse>,
    /// When it was submitted.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// When its last task ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub ended_at: Option<Timestamp>,
}

/// Reply to `GET /v1/jobs/{job}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobReply {
    /// The job.
    #[serde(flatten)]
    pub info: JobInfo,
    /// The task as it was submitted, with placeholders.
    pub task: SubmitTaskRequest,
    /// The names of the parameters.
    pub parameters: Vec<String>,
    /// What was sent when it ended, and what will be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationInfo>,
}

/// `POST /v1/jobs/query`: jobs of the caller's groups, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct JobsRequest {
    /// Only jobs of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only jobs of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Only jobs with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only these jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<i64>>,
    /// Only jobs that have not ended.
    #[serde(default)]
    pub active: bool,
    /// Only jobs before this number: `next` of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Most rows; at most [`MAX_PAGE`], which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Reply to [`JobsRequest`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobsReply {
    /// The jobs, newest first.
    pub jobs: Vec<JobInfo>,
    /// The start of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<i64>,
}

/// `POST /v1/jobs/wait`: the jobs, once the first of them has ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AwaitJobsRequest {
    /// The jobs, at most [`MAX_AWAITED_JOBS`].
    pub jobs: Vec<i64>,
    /// How long to hold the request until the first job of the list has ended, at most 20 seconds.
    #[schema(value_type = Option<String>, example = "10s")]
    #[serde(default, with = "crate::duration::optional_text", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
}

/// Reply to [`AwaitJobsRequest`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AwaitJobsReply {
    /// The jobs, newest first, without their needs. Jobs that don't exist or that the caller may not see are left out.
    pub jobs: Vec<JobInfo>,
}

/// A condition for the tasks of a job. Without conditions, all tasks are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSelection {
    /// Ranges of indices, from 1, with both ends included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indices: Vec<(u64, u64)>,
    /// The states; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<TaskCondition>,
}

/// The state of a task of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskCondition {
    /// It waits for a worker, or is not written yet.
    Waiting,
    /// A worker holds it.
    Running,
    /// It ended with status 0.
    Succeeded,
    /// It ended with another status, never started, or lost an output.
    Failed,
    /// It was stopped at its timeout.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// `POST /v1/jobs/{job}/tasks`: tasks of a job in the order of their indices.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct JobTasksRequest {
    /// Which tasks.
    #[serde(flatten)]
    pub selection: TaskSelection,
    /// Only tasks after this index: `next` of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Most rows; at most [`MAX_PAGE`], which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A task of a job.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobTask {
    /// The index within the job, from 1.
    pub index: u64,
    /// The state.
    pub state: TaskCondition,
    /// The task. Tasks that are not written yet have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskInfo>,
    /// The parameters by name, in the order of the submission.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(String, String)>,
    /// The number of the current or last attempt, from 1; 0 before the first.
    pub attempt: i64,
}

/// Reply to [`JobTasksRequest`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobTasksReply {
    /// The tasks.
    pub tasks: Vec<JobTask>,
    /// The `after` of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<u64>,
}

/// Query of `GET /v1/jobs/{job}/states`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStatesQuery {
    /// Only tasks after this index: `next` of the previous page.
    #[serde(default)]
    pub after: u64,
}

/// Reply to [`JobStatesQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStatesReply {
    /// Consecutive tasks in the same state: their number and their state, in the order of the indices.
    pub runs: Vec<(u64, TaskCondition)>,
    /// The `after` of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<u64>,
}

/// `PATCH /v1/jobs/{job}`; fields that are left out stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobChange {
    /// Pauses or resumes the job. Running tasks continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The new priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The new number of tasks that may run at the same time; 0 removes the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u64>,
}

/// Reply to `POST /v1/jobs/{job}/cancel`, which takes a [`TaskSelection`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelJobReply {
    /// Tasks that were waiting and are cancelled.
    pub cancelled: u64,
    /// Running tasks whose workers were asked to stop them.
    pub stopping: u64,
    /// Running tasks of workers that can't stop them; they end by themselves.
    pub unstoppable: u64,
}

/// Reply to `POST /v1/jobs/{job}/retry`, which takes a [`TaskSelection`] of ended tasks; without states, tasks that
/// failed, timed out or were cancelled are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryJobReply {
    /// Tasks that wait for their next attempt.
    pub retried: u64,
    /// Whether tasks are left: the request reached its limit and has to be repeated.
    pub more: bool,
}

/// Reply to `DELETE /v1/jobs/{job}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemoveJobReply {
    /// Deleted tasks.
    pub tasks: u64,
    /// Bytes of storage that the group no longer uses.
    pub freed_bytes: u64,
    /// Whether tasks are left: the request reached its limit and has to be repeated.
    pub more: bool,
}

/// Reply to `GET /v1/tasks/{uuid}/attempts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptsReply {
    /// The ended attempts, oldest first.
    pub attempts: Vec<AttemptInfo>,
}

/// An ended attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptInfo {
    /// The number, from 1.
    pub attempt: i64,
    /// The worker; none if the task was cancelled while it waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Uuid>,
    /// The host name of the worker, which stays known when the worker has left; none if it sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the worker claimed the task.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The exit code as a shell shows it; none if the attempt was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What ended it; absent from a coordinator without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<AttemptCause>,
    /// What its command used, if its worker measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<AttemptUsage>,
}

/// What ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptCause {
    /// The command exited.
    Exit,
    /// A signal that the worker did not send ended the command.
    Signal,
    /// It reached its timeout, or the task that it watches did not reach the state in time.
    Timeout,
    /// It used more memory than it may.
    Oom,
    /// It wrote more output than its worker keeps.
    OutputLimit,
    /// A user, or the coordinator on behalf of the job, cancelled the task.
    Cancelled,
    /// Its worker was lost.
    Lost,
    /// The command could not be started.
    SpawnFailed,
    /// A file or directory that it needs was not available.
    ResourceFailed,
    /// Its output could not be stored.
    UploadFailed,
    /// A task that it needs did not succeed.
    DependencyFailed,
    /// A cause that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// Query of `GET /v1/jobs/{job}/attempts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobAttemptsQuery {
    /// Only attempts of tasks after this index: `next` of the previous page.
    #[serde(default)]
    pub after: u64,
}

/// Reply to [`JobAttemptsQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobAttemptsReply {
    /// The attempts, in the order of the tasks and their attempts. A page has all attempts of its tasks.
    pub attempts: Vec<JobAttempt>,
    /// The `after` of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<u64>,
}

/// An attempt of a task of a job that a worker has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobAttempt {
    /// The index of the task, from 1.
    pub index: u64,
    /// The number of the attempt, from 1.
    pub attempt: i64,
    /// The worker.
    pub worker: Uuid,
    /// The host name of the worker; none if it sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the worker claimed the task.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub started_at: Option<Timestamp>,
    /// When it ended; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:09Z")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// With status 0.
    Succeeded,
    /// With another status, without having started, or without an output.
    Failed,
    /// At the timeout of the task.
    TimedOut,
    /// A user, or the coordinator on behalf of the job, cancelled the task.
    Cancelled,
    /// Its worker was lost.
    Lost,
}

impl From<TaskOutcome> for AttemptOutcome {
    fn from(outcome: TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Succeeded => Self::Succeeded,
            TaskOutcome::Failed => Self::Failed,
            TaskOutcome::TimedOut => Self::TimedOut,
            TaskOutcome::Cancelled => Self::Cancelled,
        }
    }
}

impl JobState {
    /// Whether all tasks have ended.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl JobCounts {
    /// The number of all tasks.
    pub const fn total(&self) -> u64 {
        self.unfinished().saturating_add(self.ended())
    }

    /// The number of tasks that have not ended.
    pub const fn unfinished(&self) -> u64 {
        self.waiting.saturating_add(self.blocked).saturating_add(self.running)
    }

    /// The number of tasks that have ended.
    pub const fn ended(&self) -> u64 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.timed_out)
            .saturating_add(self.cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_lower_case() {
        use JobState as S;
        let all = [S::Blocked, S::Waiting, S::Running, S::Paused, S::Succeeded, S::Failed, S::Cancelled];
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"["blocked","waiting","running","paused","succeeded","failed","cancelled"]"#
        );
    }

    #[test]
    fn options_are_read_as_they_are_written() {
        let at = Timestamp::from_unix_micros(1_928_423_045_250_000);
        let options =
            JobOptions { paused: true, start_after: Some(at), max_running: Some(4), ..JobOptions::default() };
        let info = JobInfo {
            job: 12,
            name: None,
            group: "lab".to_owned(),
            creator: "ann".to_owned(),
            labels: Vec::new(),
            priority: 0,
            state: JobState::Paused,
            tasks: 3,
            counts: JobCounts { waiting: 3, ..JobCounts::default() },
            stopped: None,
            stopped_by: None,
            needs: Vec::new(),
            options,
            retry: None,
            limits: Vec::new(),
            created_at: at,
            ended_at: None,
        };
        let text = serde_json::to_string(&info).unwrap();
        assert!(text.contains(r#""start_after":"2031-02-09T17:04:05.25Z""#), "{text}");
        assert_eq!(serde_json::from_str::<JobInfo>(&text).unwrap(), info);
    }
}
