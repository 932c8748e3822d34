//! The progress of a watched task (semantics §6.2), from its live and its stored state.

use std::time::Duration;

use mitosis_protocol::{ExecState, TaskResult, TaskResultMessage, TaskSpec, TaskState};

use crate::limits::PREPARATION_ALLOWANCE;

/// Time limit of a worker for fetching one file.
const FILE_LIMIT: Duration = Duration::from_secs(120);

/// Whether a task whose worker announced `now` has reached `target`.
pub fn passed(now: ExecState, target: ExecState) -> bool {
    use ExecState as S;
    let number = now.as_i32();
    let executes = (S::ExecPending.as_i32()..=S::TaskCommitted.as_i32()).contains(&number);
    match target {
        S::WorkerExited | S::Unknown => false,
        S::FetchResource => !matches!(now, S::WorkerExited | S::Unknown),
        S::FetchResourceFinished => {
            executes
                || matches!(now, S::FetchResourceFinished | S::Watch | S::WatchFinished | S::WatchTimeout)
        }
        S::Watch => executes || matches!(now, S::Watch | S::WatchFinished | S::WatchTimeout),
        S::WatchFinished => executes || now == S::WatchFinished,
        S::ExecPending => executes,
        S::ExecSpawned => executes && number >= S::ExecSpawned.as_i32(),
        S::ExecFinished => matches!(now, S::ExecFinished | S::UploadFinishedResult),
        S::ExecTimeout => matches!(now, S::ExecTimeout | S::UploadCancelledResult),
        S::UploadResult => executes && number >= S::UploadResult.as_i32(),
        only => now == only,
    }
}

/// The least progress of a task that a 0.6.8 worker has held for `held_for`, without announcements: fetching
/// and watching have limits, and then the command starts.
pub fn presumed(spec: &TaskSpec, held_for: Duration) -> ExecState {
    let files = u32::try_from(spec.resources.len()).unwrap_or(u32::MAX);
    let longest = match spec.watch {
        Some(_) => PREPARATION_ALLOWANCE,
        None => FILE_LIMIT.saturating_mul(files).min(PREPARATION_ALLOWANCE),
    };
    if held_for >= longest { ExecState::ExecSpawned } else { ExecState::FetchResource }
}

/// Whether a task in this stored state has reached `target`.
pub fn reached(state: TaskState, result: Option<TaskResult>, target: ExecState) -> bool {
    match state {
        TaskState::Pending | TaskState::Ready | TaskState::Unknown => false,
        TaskState::Running => target == ExecState::FetchResource,
        TaskState::Finished => finished_reached(target, result.is_some()),
        TaskState::Cancelled => {
            result.and_then(|result| result.msg).is_some_and(|msg| cancelled_reached(target, msg))
        }
    }
}

fn finished_reached(target: ExecState, has_result: bool) -> bool {
    use ExecState as S;
    match target {
        S::UploadResultFinished | S::TaskCommitted => has_result,
        S::UploadResult | S::UploadFinishedResult => true,
        other => ran(other),
    }
}

fn cancelled_reached(target: ExecState, msg: TaskResultMessage) -> bool {
    use ExecState as S;
    use TaskResultMessage as M;
    match target {
        S::TaskCommitted => true,
        S::UploadResult | S::UploadResultFinished => !matches!(
            msg,
            M::UserCancellation
                | M::WorkersLost
                | M::DirectoryUnavailable
                | M::DependencyFailed
                | M::SpawnFailed
        ),
        S::UploadCancelledResult => !matches!(
            msg,
            M::UserCancellation
                | M::SubmitNewTaskFailed
                | M::WorkersLost
                | M::DirectoryUnavailable
                | M::DependencyFailed
                | M::SpawnFailed
        ),
        S::FetchResourceTimeout => msg == M::FetchResourceTimeout,
        S::FetchResourceNotFound => msg == M::ResourceNotFound,
        S::FetchResourceForbidden => msg == M::ResourceForbidden,
        S::WatchTimeout => msg == M::WatchTimeout,
        S::ExecTimeout => msg == M::ExecTimeout,
        S::UploadResultTimeout => msg == M::UploadResultTimeout,
        other => msg == M::SubmitNewTaskFailed && ran(other),
    }
}

/// Whether every task that ends by itself passes `target`.
fn ran(target: ExecState) -> bool {
    use ExecState as S;
    matches!(
        target,
        S::FetchResource
            | S::FetchResourceFinished
            | S::Watch
            | S::WatchFinished
            | S::ExecPending
            | S::ExecSpawned
            | S::ExecFinished
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_states_satisfy_targets_as_the_contract_says() {
        use ExecState as S;
        let span = |from: i32, to: i32| (from..=to).map(S::from_i32);
        let rows: [(S, Vec<S>); 13] = [
            (S::WorkerExited, vec![]),
            (S::Unknown, vec![]),
            (S::FetchResource, span(1, 19).collect()),
            (S::FetchResourceFinished, [S::FetchResourceFinished].into_iter().chain(span(7, 19)).collect()),
            (S::Watch, span(7, 19).collect()),
            (S::WatchFinished, [S::WatchFinished].into_iter().chain(span(10, 19)).collect()),
            (S::ExecPending, span(10, 19).collect()),
            (S::ExecSpawned, span(11, 19).collect()),
            (S::ExecFinished, vec![S::ExecFinished, S::UploadFinishedResult]),
            (S::ExecTimeout, vec![S::ExecTimeout, S::UploadCancelledResult]),
            (S::UploadResult, span(14, 19).collect()),
            (S::TaskCommitted, vec![S::TaskCommitted]),
            (S::UploadFinishedResult, vec![S::UploadFinishedResult]),
        ];
        for (target, satisfied_by) in rows {
            for now in span(-1, 19).chain([S::Unknown]) {
                assert_eq!(passed(now, target), satisfied_by.contains(&now), "{target:?} at {now:?}");
            }
        }
    }

    #[test]
    fn unannounced_task_is_presumed_spawned_after_its_limits() {
        use mitosis_protocol::task::{RemoteFile, ResourceDownload};
        let plain = TaskSpec::default();
        assert_eq!(presumed(&plain, Duration::ZERO), ExecState::ExecSpawned);
        let file = ResourceDownload {
            remote_file: RemoteFile::Attachment { key: "k".into() },
            local_path: "f".into(),
        };
        let fetching = TaskSpec { resources: vec![file.clone(), file], ..TaskSpec::default() };
        assert_eq!(presumed(&fetching, Duration::from_secs(239)), ExecState::FetchResource);
        assert_eq!(presumed(&fetching, Duration::from_secs(240)), ExecState::ExecSpawned);
        let watch = Some((uuid::Uuid::nil(), ExecState::ExecSpawned));
        let watching = TaskSpec { watch, ..TaskSpec::default() };
        assert_eq!(presumed(&watching, Duration::from_secs(1799)), ExecState::FetchResource);
        assert_eq!(presumed(&watching, Duration::from_secs(1800)), ExecState::ExecSpawned);
    }

    /// The table of the contract, one row for each kind of stored task.
    #[test]
    fn table_of_the_contract_holds() {
        use ExecState as S;
        use TaskResultMessage as M;
        let always = [S::TaskCommitted];
        let ran = [
            S::FetchResource,
            S::FetchResourceFinished,
            S::Watch,
            S::WatchFinished,
            S::ExecPending,
            S::ExecSpawned,
            S::ExecFinished,
        ];
        let uploads = [S::UploadResult, S::UploadFinishedResult];
        let stopped = [S::UploadResult, S::UploadResultFinished, S::UploadCancelledResult];
        let rows: [(bool, Option<M>, Vec<S>); 5] = [
            (true, None, [&ran[..], &uploads].concat()),
            (false, Some(M::UserCancellation), always.to_vec()),
            (false, Some(M::ExecTimeout), [&always[..], &stopped, &[S::ExecTimeout]].concat()),
            (false, Some(M::ResourceNotFound), [&always[..], &stopped, &[S::FetchResourceNotFound]].concat()),
            (false, Some(M::WatchTimeout), [&always[..], &stopped, &[S::WatchTimeout]].concat()),
        ];
        for number in -1..=19 {
            let target = S::from_i32(number);
            for (finished, msg, reached) in &rows {
                let verdict = match (finished, msg) {
                    (true, _) => finished_reached(target, false),
                    (false, msg) => msg.is_some_and(|msg| cancelled_reached(target, msg)),
                };
                assert_eq!(verdict, reached.contains(&target), "{target:?} of {msg:?}");
            }
        }
        assert!(finished_reached(S::TaskCommitted, true) && finished_reached(S::UploadResultFinished, true));
    }
}
