//! `POST /v1/schedules/{schedule}/run`: submits a job of a schedule now.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::schedule::RunScheduleReply;
use mitosis_store::ops::Actor;
use mitosis_store::ops::schedules::RequestedRun;

use super::find::{find, no_such};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::schedules::next_job;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/schedules/{schedule}/run",
        Access::Write,
        run,
        "Submit a job of a schedule now, without regard to its times and to other jobs",
    )
}

/// The creator of the schedule is the creator of the job, also if another member requests it. Replies 403 if the creator may not submit it
/// any more.
async fn run(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(number): InPath<i64>,
) -> Result<Json<RunScheduleReply>, ApiError> {
    let schedule = find(&app, &user, number, Action::ManageTasks).await?;
    let job = next_job(&app, &schedule).await??;
    let by = Actor::User(user.id);
    match app.publish(app.store.run_schedule(by, schedule.id, &job, app.now()).await?) {
        RequestedRun::Submitted(id) => Ok(Json(RunScheduleReply { job: id.0, tasks: job.size })),
        RequestedRun::CreatorRefused => Err(refused(&schedule.creator_name, number).into()),
        RequestedRun::Denied => Err(no_such(number).into()),
    }
}

fn refused(creator: &str, schedule: i64) -> Rejection {
    let message = format!("`{creator}`, who created schedule {schedule}, may not submit its job any more");
    Rejection::forbidden(message)
        .hint("give the user Write in the group again, or create a schedule of your own")
}
