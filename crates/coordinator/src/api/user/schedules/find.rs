//! Finds schedules, and checks what the caller may do with them.

use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::ScheduleId;
use mitosis_domain::permission::Action;
use mitosis_domain::schedule::InvalidTimetable;
use mitosis_protocol::schedule::ScheduleInfo;
use mitosis_store::ops::schedules::Schedule;

use crate::api::members;
use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind};

/// Returns the schedule if the user may perform the action in its group. Replies 404 to outsiders, and 403 to members with
/// an insufficient role.
pub(super) async fn find(
    app: &App,
    user: &User,
    schedule: i64,
    action: Action,
) -> Result<Schedule, ApiError> {
    let found = app.store.schedule(ScheduleId(schedule)).await?.ok_or_else(|| no_such(schedule))?;
    match app.store.membership(user.id, &found.group_name).await? {
        Membership::NoSuchGroup | Membership::Outsider(_) => Err(no_such(schedule).into()),
        membership @ Membership::Member(..) => {
            members::permit(membership, &found.group_name, action)?;
            Ok(found)
        }
    }
}

/// The rejection for a schedule that does not exist, or that the caller may not see.
pub(super) fn no_such(schedule: i64) -> Rejection {
    Rejection::no_such(ResourceKind::Schedule, schedule)
}

/// The rejection of a cron expression or a time zone.
pub(super) fn invalid_times(error: &InvalidTimetable) -> Rejection {
    Rejection::invalid(error).hint(error.hint())
}

/// A schedule in the form of the protocol.
pub(super) fn info(schedule: Schedule) -> ScheduleInfo {
    let settings = schedule.settings;
    ScheduleInfo {
        schedule: schedule.id.0,
        name: schedule.name,
        group: schedule.group_name,
        creator: schedule.creator_name,
        cron: settings.cron,
        timezone: settings.zone,
        overlap: settings.overlap,
        catch_up: settings.catch_up,
        paused: settings.paused,
        next_due: schedule.seen.next_due,
        last_run: schedule.last_run,
        created_at: schedule.created_at,
        updated_at: schedule.updated_at,
    }
}
