//! Schedules: jobs that are submitted at the times of a cron expression. Native.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::NewJob;
use crate::task::SubmitTaskRequest;
use crate::{Timestamp, timestamp};

/// Most schedules or runs in one page.
pub const MAX_PAGE: u64 = 1_000;

/// Most missed runs that are made up for with [`CatchUp::All`].
pub const MAX_CATCH_UP: usize = 100;

/// The number of runs that are kept for each schedule, besides those whose jobs have not ended.
pub const KEPT_RUNS: u64 = 100;

/// Most jobs of a schedule that have not ended, with [`Overlap::Queue`] or [`Overlap::Replace`].
pub const MAX_QUEUED: usize = 100;

/// Most schedules of a group.
pub const MAX_SCHEDULES: u64 = 1_000;

/// The number of due times that [`ScheduleReply`] lists.
pub const SHOWN_TIMES: usize = 5;

/// What to do when a run is due while a job of the schedule has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Skip the run.
    #[default]
    Skip,
    /// The new job waits until the others have ended.
    Queue,
    /// The others are cancelled; the new job starts when they have ended.
    Replace,
}

/// What to do about runs that were missed, because no coordinator ran when they were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Nothing.
    None,
    /// Run the last one.
    #[default]
    One,
    /// Run each, in order: at most the last [`MAX_CATCH_UP`].
    All,
}

/// `POST /v1/schedules`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewSchedule {
    /// The name, unique in the group of the task. The jobs have this name, too.
    pub name: String,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[schema(example = "0 3 * * *")]
    pub cron: String,
    /// The time zone of the cron expression.
    #[serde(default = "utc")]
    #[schema(example = "Europe/Oslo")]
    pub timezone: String,
    /// What to do when a run is due while a job of the schedule has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// What to do about missed runs.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Whether it begins paused.
    #[serde(default)]
    pub paused: bool,
    /// The job to submit at each time. Its name is that of the schedule. It can have no needs, and no times.
    pub job: NewJob,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleInfo {
    /// The number.
    pub schedule: i64,
    /// The name, unique in the group.
    pub name: String,
    /// The group.
    pub group: String,
    /// The user who submits the jobs.
    pub creator: String,
    /// The times: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// The time zone of the cron expression.
    pub timezone: String,
    /// What to do when a run is due while a job of the schedule has not ended.
    pub overlap: Overlap,
    /// What to do about missed runs.
    pub catch_up: CatchUp,
    /// Whether it is paused: no run is due.
    pub paused: bool,
    /// When the next run is due; none while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub next_due: Option<Timestamp>,
    /// The last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<ScheduleRun>,
    /// When it was created.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// When it was changed.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub updated_at: Timestamp,
}

/// Reply to `GET /v1/schedules/{schedule}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ScheduleReply {
    /// The schedule.
    #[serde(flatten)]
    pub info: ScheduleInfo,
    /// The next times, at most [`SHOWN_TIMES`]; none while it is paused.
    #[serde(with = "timestamp::rfc3339::list")]
    #[schema(value_type = Vec<String>, example = json!(["2031-02-09T17:04:00Z"]))]
    pub next: Vec<Timestamp>,
    /// The task as it was submitted, with placeholders.
    pub task: SubmitTaskRequest,
    /// The names of the parameters.
    pub parameters: Vec<String>,
    /// How many tasks each job has.
    pub tasks: u64,
}

/// `POST /v1/schedules/query`: schedules of the caller's groups, by number.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SchedulesRequest {
    /// Only schedules of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only schedules of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Only schedules with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only schedules after this number: `next` of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Most rows; at most [`MAX_PAGE`], which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Reply to [`SchedulesRequest`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchedulesReply {
    /// The schedules, by number.
    pub schedules: Vec<ScheduleInfo>,
    /// The `after` of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<i64>,
}

/// `PATCH /v1/schedules/{schedule}`; fields that are left out stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleChange {
    /// Pauses or resumes the schedule. What would have been due while it was paused is not made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The new times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The new time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What to do when a run is due while a job of the schedule has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// What to do about missed runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// A job was submitted.
    Submitted,
    /// A job of the schedule had not ended.
    Skipped,
    /// No coordinator ran at that time.
    Missed,
    /// The creator may not submit to the group, or not see what the task refers to.
    Refused,
    /// The job could not be submitted.
    Failed,
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    /// When it was due; for a requested run, when it was requested.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub due: Timestamp,
    /// The last of several missed times that `due` begins.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub until: Option<Timestamp>,
    /// When it was handled.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub handled_at: Timestamp,
    /// Whether a user requested it.
    #[serde(default)]
    pub requested: bool,
    /// What came of it.
    pub outcome: RunOutcome,
    /// The submitted job. It may be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
    /// Why no job was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Reply to `POST /v1/schedules/{schedule}/run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunScheduleReply {
    /// The number of the submitted job.
    pub job: i64,
    /// How many tasks it has.
    pub tasks: u64,
}

/// Reply to `GET /v1/schedules/{schedule}/runs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRunsReply {
    /// The kept runs, newest first.
    pub runs: Vec<ScheduleRun>,
}
