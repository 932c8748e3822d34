//! Schedules: their settings, their due runs, and what came of them.

mod change;
mod read;
mod runs;

use std::sync::Arc;

use async_trait::async_trait;
use mitosis_domain::ids::{ScheduleId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::ScheduleRun;

use self::runs::{Action, Run};
use super::jobs::submit::PreparedJob;
use crate::StoreError;
use crate::backend::Backend;
use crate::ops::jobs::NewJob;
use crate::ops::schedules::{
    DueAction, DueOutcome, NewSchedule, RequestedRun, Schedule, ScheduleCreation, ScheduleQuery,
    ScheduleSettings, ScheduleUpdate, Schedules, SeenSchedule,
};
use crate::ops::{Actor, Changed};

pub(crate) use change::PAUSE_ALL;

#[async_trait]
impl<B: Backend> Schedules for B {
    async fn create_schedule(
        &self,
        creator: UserId,
        new: &NewSchedule,
        now: Timestamp,
    ) -> Result<ScheduleCreation, StoreError> {
        self.write((creator, new.clone(), now), |db, (creator, new, now)| {
            Box::pin(change::create(db, *creator, new, *now))
        })
        .await
    }

    async fn schedules(&self, query: &ScheduleQuery) -> Result<Vec<Schedule>, StoreError> {
        self.read_for_user(query.clone(), |db, query| Box::pin(read::schedules(db, query))).await
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        self.read(id, |db, id| Box::pin(read::schedule(db, *id))).await
    }

    async fn schedule_blueprint(&self, id: ScheduleId) -> Result<Option<Arc<str>>, StoreError> {
        self.read(id, |db, id| Box::pin(read::blueprint(db, *id))).await
    }

    async fn schedule_runs(&self, id: ScheduleId) -> Result<Vec<ScheduleRun>, StoreError> {
        self.read(id, |db, id| Box::pin(read::runs(db, *id))).await
    }

    async fn change_schedule(
        &self,
        by: Actor,
        id: ScheduleId,
        seen: SeenSchedule,
        settings: &ScheduleSettings,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<ScheduleUpdate, StoreError> {
        let change = change::Change { seen, settings: settings.clone(), next_due };
        self.write((by, id, change, now), |db, (by, id, change, now)| {
            Box::pin(change::change(db, *by, *id, change, *now))
        })
        .await
    }

    async fn remove_schedule(&self, by: Actor, id: ScheduleId) -> Result<bool, StoreError> {
        self.write((by, id), |db, (by, id)| Box::pin(change::remove(db, *by, *id))).await
    }

    async fn due_schedules(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ScheduleId)>,
        limit: u64,
    ) -> Result<Vec<Schedule>, StoreError> {
        self.read((now, after, limit), |db, (now, after, limit)| {
            Box::pin(read::due(db, *now, *after, *limit))
        })
        .await
    }

    async fn handle_due(
        &self,
        id: ScheduleId,
        seen: SeenSchedule,
        action: &DueAction,
        next_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Changed<DueOutcome>, StoreError> {
        let action = match action {
            DueAction::Submit { job, cancelled } => {
                let job = Box::new(PreparedJob::new(job).await?);
                Action::Submit { job, cancelled: cancelled.clone() }
            }
            DueAction::Miss { until } => Action::Miss { until: *until },
            DueAction::Fail { reason } => Action::Fail { reason: reason.clone() },
        };
        let run = Run { seen, action, next_due };
        self.write((id, run, now), |db, (id, run, now)| Box::pin(runs::handle(db, *id, run, *now))).await
    }

    async fn run_schedule(
        &self,
        by: Actor,
        id: ScheduleId,
        job: &NewJob,
        now: Timestamp,
    ) -> Result<Changed<RequestedRun>, StoreError> {
        let job = PreparedJob::new(job).await?;
        self.write((by, id, job, now), |db, (by, id, job, now)| {
            Box::pin(runs::run_now(db, *by, *id, job, *now))
        })
        .await
    }
}
