//! Task states that workers announce on Redis (semantics §10): their key and how long they are kept.

use std::time::Duration;

use mitosis_protocol::{ExecState, TaskResultMessage, Uuid};

/// The key and channel of a task.
pub fn channel(task: Uuid) -> String {
    format!("task:{task}")
}

/// How long an announced state is kept; none means forever. `timeout` is that of the task.
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

/// The final state of a task that can't be run, or whose archives could not be stored.
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
