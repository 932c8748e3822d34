//! `GET /v1/jobs/{job}/events`: the progress of a job, as server-sent events.
//!
//! All streams of a job share one read ([`crate::jobs::progress`]), a few times a second at most. They cost nothing per
//! task.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use mitosis_domain::account::User;
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::JobInfo;
use tokio::time::sleep;

use super::find::{find, info, no_such};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::api::user::events::{CHECK_INTERVAL, response};
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication, groups_of};
use crate::error::ApiError;
use crate::jobs::progress::{Following, JobView};
use crate::user_limits::CountGuard;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/jobs/{job}/events",
        Access::Read,
        events,
        "Stream the progress of a job until it ends",
    )
}

/// Each event has the name `job` and the job as data: once at the start, and whenever it has changed, at most four times a
/// second.
async fn events(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    InPath(job): InPath<i64>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let found = find(&app, &user, job, Action::View).await?;
    let open = app.stream_limiter.open(user.id)?;
    let following = app.jobs.progress.follow(found.id, found.group);
    let stream = JobStream {
        first: Some(Arc::new(info(&app, &found).await?)),
        app,
        _open: open,
        user,
        authentication,
        job,
        group: found.group,
        following,
        sent: None,
    };
    Ok(response(futures_util::stream::unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    })))
}

/// A stream of one job: its current state, then every change until it ends.
struct JobStream {
    app: App,
    _open: CountGuard,
    user: User,
    authentication: Authentication,
    job: i64,
    group: GroupId,
    following: Following,
    /// What was read when the stream was opened.
    first: Option<Arc<JobInfo>>,
    sent: Option<Arc<JobInfo>>,
}

impl JobStream {
    async fn next(&mut self) -> Option<Event> {
        while !self.has_ended() && !self.app.stopping.is_cancelled() {
            match self.advance().await {
                Ok(Some(info)) if self.sent.as_ref() != Some(&info) => {
                    let event = server_sent(&info);
                    self.sent = Some(info);
                    return Some(event);
                }
                Ok(_) => {}
                Err(error) if error.is_outage() => sleep(CHECK_INTERVAL).await,
                Err(_) => return None,
            }
        }
        None
    }

    fn has_ended(&self) -> bool {
        self.sent.as_ref().is_some_and(|info| info.ended_at.is_some())
    }

    /// Waits for a change, or for the next revalidation of the caller.
    async fn advance(&mut self) -> Result<Option<Arc<JobInfo>>, ApiError> {
        self.check().await?;
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let view = tokio::select! {
            view = self.following.next() => view,
            () = sleep(CHECK_INTERVAL) => return Ok(None),
            () = self.app.stopping.cancelled() => return Ok(None),
        };
        self.check().await?;
        match view {
            JobView::Found(info) => Ok(Some(info)),
            JobView::Unread => Ok(None),
            JobView::Gone => Err(no_such(self.job).into()),
        }
    }

    /// Revalidates the caller.
    async fn check(&self) -> Result<(), ApiError> {
        self.authentication.revalidate(&self.app).await?;
        match groups_of(&self.app, self.user.id).await?.contains(&self.group) {
            true => Ok(()),
            false => Err(no_such(self.job).into()),
        }
    }
}

fn server_sent(info: &JobInfo) -> Event {
    Event::default().event("job").data(serde_json::to_string(info).expect("a job is plain data"))
}
