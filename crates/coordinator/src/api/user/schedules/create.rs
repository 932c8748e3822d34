//! `POST /v1/schedules`: creates a schedule.

use std::panic::resume_unwind;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::schedule::Timetable;
use mitosis_domain::selector::JobName;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::job::NewJob;
use mitosis_protocol::schedule::{MAX_SCHEDULES, NewSchedule, ScheduleInfo};
use mitosis_store::ops::schedules::{self, ScheduleCreation, ScheduleSettings};

use super::find::{info, invalid_times};
use crate::api::body::Body;
use crate::api::members;
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::api::user::jobs::check::check_receivers;
use crate::api::user::tasks::references::TaskReferences;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::jobs::blueprints::blocking;
use crate::schedules::check;
use crate::secrets;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/schedules", Access::Write, create, Op::new("Create a schedule").or(409))
}

/// Needs Write in the group of the task. The job is checked now, and again at each run; whether the receivers of its
/// notifications are allowed is checked now, and before each request. Replies 409 if the group has a
/// schedule with this name.
async fn create(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<NewSchedule>,
) -> Result<Json<ScheduleInfo>, ApiError> {
    let NewSchedule { name, cron, timezone, overlap, catch_up, paused, job } = request;
    let name: String = JobName::try_from(name).map_err(invalid_name)?.into();
    let now = app.now();
    let timetable = Timetable::check(&cron, &timezone, now).map_err(|error| invalid_times(&error))?;
    let group_name = job.task.group_name.clone();
    let group = members::require(&app, &user, &group_name, Action::Submit).await?;
    TaskReferences::load(&app, &user, [&job.task].into_iter()).await?.check(&job.task.task_spec)?;
    secrets::check(&app, group, &job.task.task_spec).await?;
    check_receivers(&job.notify, &app.notify.allowed)?;
    let job = NewJob { name: Some(name.clone()), ..job };
    let entropy = app.entropy.clone();
    let checked = blocking(move || {
        let text = serde_json::to_string(&job);
        check(job, group, now, &*entropy).map(|_| text)
    });
    let text = checked.await.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))?;
    let blueprint: Arc<str> =
        text.map_err(|error| Rejection::new(ErrorCode::Internal, error.to_string()))?.into();
    let settings = ScheduleSettings {
        cron: timetable.cron().to_owned(),
        zone: timetable.zone().to_owned(),
        overlap,
        catch_up,
        paused,
    };
    let next_due = if paused { None } else { timetable.next_after(now) };
    let new = schedules::NewSchedule { group, name, settings, blueprint, next_due };
    match app.store.create_schedule(user.id, &new, now).await? {
        ScheduleCreation::Created(id) => match app.store.schedule(id).await? {
            Some(schedule) => Ok(Json(info(schedule))),
            None => Err(super::find::no_such(id.0).into()),
        },
        ScheduleCreation::NameTaken => Err(name_taken(&new.name, &group_name).into()),
        ScheduleCreation::TooMany => Err(too_many(&group_name).into()),
        ScheduleCreation::Denied => Err(denied(&group_name).into()),
    }
}

fn invalid_name(error: impl std::fmt::Display) -> Rejection {
    Rejection::invalid(error).hint("choose a name such as `nightly`")
}

fn name_taken(name: &str, group: &str) -> Rejection {
    Rejection::new(ErrorCode::NameTaken, format!("the group `{group}` has a schedule `{name}` already"))
        .hint("choose another name, or delete that schedule first")
}

fn too_many(group: &str) -> Rejection {
    let message = format!("the group `{group}` has {MAX_SCHEDULES} schedules, which is the limit");
    Rejection::new(ErrorCode::QuotaExceeded, message).hint("delete schedules that are not used any more")
}

fn denied(group: &str) -> Rejection {
    Rejection::forbidden(format!("you may not submit to the group `{group}` any more"))
        .hint("no schedule was created; ask an Admin of the group")
}
