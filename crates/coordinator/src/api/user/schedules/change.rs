//! `PATCH /v1/schedules/{schedule}`: pauses, resumes or changes a schedule.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::schedule::Timetable;
use mitosis_protocol::schedule::ScheduleChange;
use mitosis_protocol::{ErrorCode, Timestamp};
use mitosis_store::ops::Actor;
use mitosis_store::ops::schedules::{Schedule, ScheduleSettings, ScheduleUpdate};

use super::find::{find, invalid_times, no_such};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

/// How often a change is tried again, because runs or other changes came between.
const ATTEMPTS: u32 = 10;

pub(super) fn routes() -> Routes {
    Routes::new().patch(
        "/v1/schedules/{schedule}",
        Access::Write,
        change,
        "Pause, resume or change a schedule",
    )
}

/// Replies 400 if the request changes nothing. Submitted jobs continue while a schedule is paused.
async fn change(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(number): InPath<i64>,
    Body(change): Body<ScheduleChange>,
) -> Result<Empty, ApiError> {
    if change == ScheduleChange::default() {
        let message = "the request changes nothing; set paused, cron, timezone, overlap or catch_up";
        return Err(Rejection::invalid(message).into());
    }
    for _ in 0..ATTEMPTS {
        let schedule = find(&app, &user, number, Action::ManageTasks).await?;
        let now = app.now();
        let (settings, next_due) = merged(&schedule, &change, now)?;
        let by = Actor::User(user.id);
        match app.store.change_schedule(by, schedule.id, schedule.seen, &settings, next_due, now).await? {
            ScheduleUpdate::Done => return Ok(Empty),
            ScheduleUpdate::Moved => {}
            ScheduleUpdate::Denied => return Err(no_such(number).into()),
        }
    }
    let message = format!("schedule {number} changes too often at the moment");
    Err(Rejection::new(ErrorCode::Unavailable, message).into())
}

/// The settings after a change, and when the next run is due. The next run stays due if the times don't change.
fn merged(
    schedule: &Schedule,
    change: &ScheduleChange,
    now: Timestamp,
) -> Result<(ScheduleSettings, Option<Timestamp>), Rejection> {
    let before = &schedule.settings;
    let cron = change.cron.as_ref().unwrap_or(&before.cron);
    let zone = change.timezone.as_ref().unwrap_or(&before.zone);
    let timetable = Timetable::check(cron, zone, now).map_err(|error| invalid_times(&error))?;
    let settings = ScheduleSettings {
        cron: timetable.cron().to_owned(),
        zone: timetable.zone().to_owned(),
        overlap: change.overlap.unwrap_or(before.overlap),
        catch_up: change.catch_up.unwrap_or(before.catch_up),
        paused: change.paused.unwrap_or(before.paused),
    };
    let same_times = (&settings.cron, &settings.zone) == (&before.cron, &before.zone);
    let next_due = match schedule.seen.next_due {
        _ if settings.paused => None,
        Some(due) if same_times => Some(due),
        _ => timetable.next_after(now),
    };
    Ok((settings, next_due))
}
