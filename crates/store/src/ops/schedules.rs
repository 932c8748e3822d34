//! Schedules: their settings, their due runs, and what came of them.
//!
//! A due run is handled together with the step to the next due time, in one transaction that checks that no other
//! coordinator was faster. So each due time is handled exactly once, by any number of coordinators.

use std::sync::Arc;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, JobId, ScheduleId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::{CatchUp, Overlap, ScheduleRun};

use crate::StoreError;
use crate::ops::jobs::NewJob;
use crate::ops::{Actor, Changed};

/// What users can change about a schedule, checked by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSettings {
    /// The cron expression. The store does not read it.
    pub cron: String,
    /// The time zone.
    pub zone: String,
    /// What to do when a run is due while a job of the schedule has not ended.
    pub overlap: Overlap,
    /// What to do about missed runs.
    pub catch_up: CatchUp,
    /// Whether no run is due.
    pub paused: bool,
}

/// A new schedule, which the caller has checked.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// The group that owns it.
    pub group: GroupId,
    /// The name, unique in the group.
    pub name: String,
    /// The settings.
    pub settings: ScheduleSettings,
    /// The job to submit, as JSON. The store does not read it.
    pub blueprint: Arc<str>,
    /// When the first run is due.
    pub next_due: Option<Timestamp>,
}

/// Outcome of [`Schedules::create_schedule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleCreation {
    /// The schedule exists.
    Created(ScheduleId),
    /// Refused: the group has a schedule with this name.
    NameTaken,
    /// Refused: the group has [`MAX_SCHEDULES`](mitosis_protocol::schedule::MAX_SCHEDULES).
    TooMany,
    /// Refused: the creator may not submit to the group.
    Denied,
}

/// The state of a schedule that a decision is based on. An operation changes nothing if it is another one by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenSchedule {
    /// The number of changes by users.
    pub version: i64,
    /// When the next run is due.
    pub next_due: Option<Timestamp>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The number.
    pub id: ScheduleId,
    /// The group that owns it.
    pub group: GroupId,
    /// The name of the group.
    pub group_name: String,
    /// The user who submits the jobs.
    pub creator: UserId,
    /// The name of this user.
    pub creator_name: String,
    /// The name.
    pub name: String,
    /// The settings.
    pub settings: ScheduleSettings,
    /// What a change has to be based on.
    pub seen: SeenSchedule,
    /// The last run.
    pub last_run: Option<ScheduleRun>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed by a user.
    pub updated_at: Timestamp,
}

/// Which schedules to list.
#[derive(Debug, Clone, Default)]
pub struct ScheduleQuery {
    /// Schedules of these groups.
    pub groups: Vec<GroupId>,
    /// Only of the user with this name.
    pub creator: Option<String>,
    /// Only with this name.
    pub name: Option<String>,
    /// Only schedules after this one.
    pub after: Option<ScheduleId>,
    /// Most schedules.
    pub limit: u64,
}

/// Outcome of [`Schedules::change_schedule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleUpdate {
    /// The settings are set.
    Done,
    /// Nothing has changed: the schedule is not in the seen state any more.
    Moved,
    /// Refused: there is no such schedule, or the actor may not change it.
    Denied,
}

/// What to do about a due run.
#[derive(Debug, Clone)]
pub enum DueAction {
    /// Submit a job, as the creator of the schedule.
    Submit {
        /// The job. The store adds its needs.
        job: Box<NewJob>,
        /// Jobs of the schedule that the caller has cancelled, with [`Overlap::Replace`].
        cancelled: Vec<JobId>,
    },
    /// Record that this run and all up to a time were missed.
    Miss {
        /// The last missed time.
        until: Timestamp,
    },
    /// Record that the job can't be submitted.
    Fail {
        /// Why.
        reason: String,
    },
}

/// Outcome of [`Schedules::handle_due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueOutcome {
    /// The run is recorded, and the next one is due at the given time.
    Recorded(ScheduleRun),
    /// Nothing has changed: the schedule is gone, or not in the seen state any more.
    Moved,
    /// Nothing has changed: the caller has to cancel these jobs first.
    Running(Vec<JobId>),
}

/// Outcome of [`Schedules::run_schedule`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedRun {
    /// The job exists.
    Submitted(JobId),
    /// Recorded as refused: the creator of the schedule may not submit the job.
    CreatorRefused,
    /// Refused: there is no such schedule, or the actor may not run it.
    Denied,
}

/// Operations on schedules.
#[async_trait]
pub trait Schedules {
    /// Creates a schedule. The creator needs Write in the group.
    async fn create_schedule(
        &self,
        creator: UserId,
        new: &NewSchedule,
        now: Timestamp,
    ) -> Result<ScheduleCreation, StoreError>;

    /// Reads schedules by number.
    async fn schedules(&self, query: &ScheduleQuery) -> Result<Vec<Schedule>, StoreError>;

    /// Reads the schedule with this number.
    async fn schedule(&self, id: ScheduleId) -> Result<Option<Schedule>, StoreError>;

    /// Reads the job of a schedule, as JSON.
    async fn schedule_blueprint(&self, id: ScheduleId) -> Result<Option<Arc<str>>, StoreError>;

    /// Reads the kept runs of a schedule, newest first.
    async fn schedule_runs(&self, id: ScheduleId) -> Result<Vec<ScheduleRun>, StoreError>;

    /// Sets the settings of a schedule, and when it is due next.
    async fn change_schedule(
        &self,
        by: Actor,
        id: ScheduleId,
        seen: SeenSchedule,
        settings: &ScheduleSettings,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<ScheduleUpdate, StoreError>;

    /// Deletes a schedule and the record of its runs. Its jobs stay. Returns false if it doesn't exist or the actor may
    /// not delete it.
    async fn remove_schedule(&self, by: Actor, id: ScheduleId) -> Result<bool, StoreError>;

    /// Reads schedules with a due run, after the given one in the order of due times.
    async fn due_schedules(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ScheduleId)>,
        limit: u64,
    ) -> Result<Vec<Schedule>, StoreError>;

    /// Handles the due run of a schedule: records what comes of it, and sets the next due time. A job is submitted with the
    /// rights of the creator. While other jobs of the schedule have not ended, the run is skipped or the job waits for them,
    /// as the schedule says.
    async fn handle_due(
        &self,
        id: ScheduleId,
        seen: SeenSchedule,
        action: &DueAction,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Changed<DueOutcome>, StoreError>;

    /// Submits a job of a schedule now, with the rights of its creator, and records the run. It waits for no other job.
    async fn run_schedule(
        &self,
        by: Actor,
        id: ScheduleId,
        job: &NewJob,
        now: Timestamp,
    ) -> Result<Changed<RequestedRun>, StoreError>;
}
