//! What workers announce of a task on Redis (semantics §10): under which name, and for how long it holds.

use std::time::Duration;

use mitosis_protocol::{ExecState, TaskResultMessage, Uuid};

/// Key and channel of a task.
pub fn channel(task: Uuid) -> String {
    format!("task:{task}")
}

/// How long an announced state is kept; for ever where there is no limit. `timeout` is that of the task.
pub fn kept_for(state: ExecState, timeout: Duration) -> Option<Duration> {
    use ExecState as S;
    let seconds = match state {
        S::Watch | S::ExecSpawned => return None,
        S::ExecPending => return Some(timeout + Duration::from_secs(60)),
        S::FetchResource => 360,
        S::ExecFinished | S::UploadResult | S::UploadFinishedResult | S::UploadCancelledResult => 660,
        _ => 60,
    };
    Some(Duration::from_secs(seconds))
}

/// The state in which a task ends that can't be run, or whose archives could not be brought away.
pub const fn of_failure(msg: TaskResultMessage) -> Option<ExecState> {
    use TaskResultMessage as M;
    match msg {
        M::FetchResourceTimeout => Some(ExecState::FetchResourceTimeout),
        M::ResourceNotFound => Some(ExecState::FetchResourceNotFound),
        M::ResourceForbidden => Some(ExecState::FetchResourceForbidden),
        M::WatchTimeout => Some(ExecState::WatchTimeout),
        M::ExecTimeout => Some(ExecState::ExecTimeout),
        M::UploadResultTimeout => Some(ExecState::UploadResultTimeout),
        _ => None,
    }
}
