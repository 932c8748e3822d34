//! Waits for the live output of a task, at whichever coordinator its agent is connected.

use std::time::Duration;

use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_domain::task::{Phase, Task};
use mitosis_protocol::output::{Located, LogPosition};
use mitosis_protocol::{Epoch, Timestamp, Uuid, duration};
use tokio::time::{Instant, sleep_until};

use super::find;
use crate::app::App;
use crate::auth::revalidation::{Authentication, groups_of};
use crate::error::{ApiError, Rejection};
use crate::events::feed::TaskChanges;
use crate::events::output_hub::{Part, Wake, Wanted};
use crate::events::relay::{self, RENEW_AFTER};

/// How often to revalidate the caller and to check for output. Lookups in the store are cached.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long to rely on notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// A caller who follows a task.
pub(super) struct Live {
    pub(super) app: App,
    pub(super) user: User,
    pub(super) authentication: Authentication,
    pub(super) uuid: Uuid,
    /// The attempt that is followed; none until one runs.
    pub(super) attempt: Option<Epoch>,
}

/// What happened to a followed task.
pub(super) enum Event {
    /// It wrote these bytes.
    Bytes { stdout: Part, stderr: Part },
    /// The position was found.
    Located(Located),
    /// The followed attempt has ended, and the task has not, or not with this attempt.
    Replaced(Epoch),
    /// It has ended.
    Ended,
    /// Nothing until the deadline, or the coordinator stops.
    Nothing,
}

impl Live {
    /// Waits for output, for the end of the task, or for the deadline. Returns the task as it was read last.
    pub(super) async fn next(&self, wanted: Wanted, deadline: Instant) -> Result<(Event, Task), ApiError> {
        let Self { app, user, authentication, uuid, attempt } = self;
        let (uuid, attempt) = (*uuid, *attempt);
        // When the request was last sent to the other coordinators.
        let mut requested: Option<Instant> = None;
        let mut changes = TaskChanges::subscribe(app.clone(), uuid);
        let mut seen: Option<(Instant, Task)> = None;
        // Registers before reading the task, so that an end in between still wakes. The registration is kept while the
        // caller and the task are checked, so that no bytes are missed.
        let mut following = app.output.follow(uuid, wanted);
        loop {
            authentication.revalidate(app).await?;
            let groups = groups_of(app, user.id).await?;
            let (looked, task) = match seen.take() {
                Some((at, task)) if at.elapsed() < POLL_INTERVAL && groups.contains(&task.group) => {
                    (at, task)
                }
                _ => (Instant::now(), find(app, user, uuid, Action::View).await?),
            };
            let is_last = matches!(task.phase, Phase::Ended(_)) && attempt == Some(task.attempt);
            if let Some(attempt) = attempt.filter(|attempt| task.has_ended(*attempt) && !is_last) {
                return Ok((Event::Replaced(attempt), task));
            }
            if matches!(task.phase, Phase::Ended(_)) {
                return Ok((Event::Ended, task));
            }
            if Instant::now() >= deadline || app.stopping.is_cancelled() {
                return Ok((Event::Nothing, task));
            }
            if let Phase::Running(attempt) = task.phase
                && !app.agents.follow(attempt.worker, uuid)
                && requested.is_none_or(|at| at.elapsed() >= RENEW_AFTER)
            {
                app.peers.send(relay::request(attempt.worker, uuid, wanted));
                requested = Some(Instant::now());
            }
            let until = deadline.min(Instant::now() + CHECK_INTERVAL);
            tokio::select! {
                wake = following.woken() => match wake {
                    Wake::Bytes { stdout, stderr } => return Ok((Event::Bytes { stdout, stderr }, task)),
                    Wake::Located(located) => return Ok((Event::Located(located), task)),
                    Wake::Changed => following = app.output.follow(uuid, wanted),
                },
                _ = changes.next() => {}
                () = sleep_until(until) => seen = Some((looked, task)),
                () = app.stopping.cancelled() => {}
            }
        }
    }
}

/// The position that `since` names: a time, or a duration before `now`. Nothing has been written since a later time,
/// so it is the end of the output.
pub(super) fn since(text: &str, now: Timestamp) -> Result<LogPosition, Rejection> {
    if let Ok(ago) = duration::parse(text) {
        return Ok(LogPosition::Since { at: now - ago });
    }
    let at = Timestamp::parse(text).map_err(|_| {
        Rejection::invalid(format!("invalid `since`: `{text}`"))
            .hint("give a time such as `2031-02-09T17:04:05Z`, or a duration such as `10m`")
    })?;
    Ok(match at > now {
        true => LogPosition::Tail { lines: 0 },
        false => LogPosition::Since { at },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_later_than_now_is_the_end_of_the_output() {
        let now = Timestamp::parse("2031-02-09T17:04:05Z").unwrap();
        let since = |text| since(text, now).unwrap();
        assert_eq!(since("10m"), LogPosition::Since { at: now - Duration::from_mins(10) });
        assert_eq!(since("2031-02-09T17:04:05Z"), LogPosition::Since { at: now });
        assert_eq!(since("2031-02-09T17:04:06Z"), LogPosition::Tail { lines: 0 });
    }

    #[test]
    fn since_neither_a_time_nor_a_duration_is_rejected() {
        assert!(since("soon", Timestamp::from_unix_micros(0)).is_err());
    }
}
