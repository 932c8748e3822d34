//! The selection of ended tasks to delete, the same in both databases.

use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;

/// An ended task that may be old enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) task: TaskId,
    pub(crate) created_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

impl Candidate {
    /// The ids of the candidates that ended before `ended_before`.
    pub(crate) fn old(candidates: &[Self], ended_before: Timestamp) -> Vec<i64> {
        candidates
            .iter()
            .filter(|candidate| candidate.ended_at < ended_before)
            .map(|candidate| candidate.task.0)
            .collect()
    }

    /// The task after which the next round continues. Tasks come in the order of submission, so when a full
    /// round contains none that was submitted before `ended_before`, no later one can be old enough. A single
    /// wrong clock doesn't end the walk.
    pub(crate) fn next(candidates: &[Self], ended_before: Timestamp, limit: u32) -> Option<TaskId> {
        let full = candidates.len() >= limit as usize;
        let any_old = candidates.iter().any(|candidate| candidate.created_at < ended_before);
        if full && any_old { candidates.last().map(|candidate| candidate.task) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros)
    }

    fn candidate(task: i64, created: i64, ended: i64) -> Candidate {
        Candidate { task: TaskId(task), created_at: at(created), ended_at: at(ended) }
    }

    #[test]
    fn walk_continues_while_a_task_was_submitted_before_the_limit() {
        let seen = [candidate(1, 90, 95), candidate(2, 500, 600), candidate(3, 95, 200)];
        assert_eq!(Candidate::old(&seen, at(100)), [1]);
        assert_eq!(Candidate::next(&seen, at(100), 3), Some(TaskId(3)));
        assert_eq!(Candidate::next(&seen, at(100), 4), None, "the round was not full");
        assert_eq!(Candidate::next(&seen, at(90), 3), None, "no later task can have ended before");
        assert_eq!(Candidate::next(&[], at(90), 0), None);
    }
}
