//! How far a watched task has come (semantics §6.2), as far as its stored state can tell.

use mitosis_protocol::{ExecState, TaskResult, TaskResultMessage, TaskState};

/// Whether a task that stands so has come as far as `target`.
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
        S::UploadResult | S::UploadResultFinished => msg != M::UserCancellation,
        S::UploadCancelledResult => !matches!(msg, M::UserCancellation | M::SubmitNewTaskFailed),
        S::FetchResourceTimeout => msg == M::FetchResourceTimeout,
        S::FetchResourceNotFound => msg == M::ResourceNotFound,
        S::FetchResourceForbidden => msg == M::ResourceForbidden,
        S::WatchTimeout => msg == M::WatchTimeout,
        S::ExecTimeout => msg == M::ExecTimeout,
        S::UploadResultTimeout => msg == M::UploadResultTimeout,
        other => msg == M::SubmitNewTaskFailed && ran(other),
    }
}

/// What every task passes that ends by itself.
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

    /// The table of the contract, one row per kind of stored task.
    #[test]
    fn the_table_of_the_contract_holds() {
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
