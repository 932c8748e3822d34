//! `GET /v1/schedules/{schedule}`: a schedule, its next times, and its job.

use std::panic::resume_unwind;

use axum::Json;
use axum::extract::State;
use mitosis_blueprint::{Blueprint, Plan};
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_domain::schedule::Timetable;
use mitosis_protocol::schedule::{SHOWN_TIMES, ScheduleReply};
use mitosis_protocol::{ErrorCode, Timestamp, job};
use mitosis_store::ops::schedules::Schedule;

use super::find::{find, info, no_such};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, chain};
use crate::jobs::blueprints::{JobBlueprint, UnusableBlueprint, blocking};

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/schedules/{schedule}", Access::Read, get, "Get a schedule and its next times")
}

/// Returns a schedule, whether it is paused or not.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(schedule): InPath<i64>,
) -> Result<Json<ScheduleReply>, ApiError> {
    let schedule = find(&app, &user, schedule, Action::View).await?;
    let number = schedule.id.0;
    let text = app.store.schedule_blueprint(schedule.id).await?.ok_or_else(|| no_such(number))?;
    let group = schedule.group;
    let parsed = blocking(move || parse(&text, group)).await;
    let blueprint = parsed.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()));
    let blueprint = blueprint.map_err(|error| {
        tracing::error!(schedule = number, cause = chain(&error), "the job of a schedule can't be used");
        Rejection::new(ErrorCode::Internal, format!("the job of schedule {number} can't be read"))
    })?;
    Ok(Json(ScheduleReply {
        next: next_times(&schedule),
        info: info(schedule),
        task: blueprint.task().clone(),
        parameters: blueprint.parameters(),
        tasks: blueprint.size(),
    }))
}

fn parse(text: &str, group: GroupId) -> Result<JobBlueprint, UnusableBlueprint> {
    let job::NewJob { task, plan, .. } = serde_json::from_str(text)?;
    let plan: Option<Plan> = plan.map(|plan| serde_json::from_str(plan.get())).transpose()?;
    JobBlueprint::new(group, Blueprint { task, plan: plan.unwrap_or_default() })
}

/// The next times; none if the time zone is not known any more.
fn next_times(schedule: &Schedule) -> Vec<Timestamp> {
    let Some(next) = schedule.seen.next_due else { return Vec::new() };
    let Ok(timetable) = Timetable::parse(&schedule.settings.cron, &schedule.settings.zone) else {
        return vec![next];
    };
    std::iter::once(next).chain(timetable.after(next)).take(SHOWN_TIMES).collect()
}
