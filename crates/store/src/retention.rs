//! The selection of ended tasks and archives to delete, the same in both databases.

use std::collections::BTreeSet;

use mitosis_domain::ids::{ArtifactId, TaskId};
use mitosis_protocol::Timestamp;

/// An ended task that may be old enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) task: TaskId,
    pub(crate) created_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// It is deleted with its job.
    pub(crate) has_job: bool,
}

impl Candidate {
    /// The ids of the candidates without a job that ended before `ended_before`.
    pub(crate) fn old(candidates: &[Self], ended_before: Timestamp) -> Vec<i64> {
        candidates
            .iter()
            .filter(|candidate| candidate.ended_at < ended_before && !candidate.has_job)
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

/// An archive whose task may have ended long ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArchiveCandidate {
    pub(crate) id: ArtifactId,
    pub(crate) task: TaskId,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
}

impl ArchiveCandidate {
    /// The ids of the tasks whose archives may be deleted.
    pub(crate) fn old(candidates: &[Self], ended_before: Timestamp) -> Vec<i64> {
        let is_old = |candidate: &&Self| {
            candidate.updated_at < ended_before
                && candidate.ended_at.is_some_and(|ended_at| ended_at < ended_before)
        };
        let tasks: BTreeSet<i64> =
            candidates.iter().filter(is_old).map(|candidate| candidate.task.0).collect();
        tasks.into_iter().collect()
    }

    /// The record after which the next round continues, as for tasks: an archive is recorded before its task ends, or
    /// counts as changed when it was recorded.
    pub(crate) fn next(candidates: &[Self], ended_before: Timestamp, limit: u32) -> Option<ArtifactId> {
        let full = candidates.len() >= limit as usize;
        let any_old = candidates.iter().any(|candidate| candidate.created_at < ended_before);
        if full && any_old { candidates.last().map(|candidate| candidate.id) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros)
    }

    fn candidate(task: i64, created: i64, ended: i64) -> Candidate {
        Candidate { task: TaskId(task), created_at: at(created), ended_at: at(ended), has_job: false }
    }

    #[test]
    fn walk_continues_while_a_task_was_submitted_before_the_limit() {
        let seen = [candidate(1, 90, 95), candidate(2, 500, 600), candidate(3, 95, 200)];
        assert_eq!(Candidate::old(&seen, at(100)), [1]);
        let of_job = Candidate { has_job: true, ..seen[0] };
        assert_eq!(Candidate::old(&[of_job], at(100)), [0; 0], "it is deleted with its job");
        assert_eq!(Candidate::next(&seen, at(100), 3), Some(TaskId(3)));
        assert_eq!(Candidate::next(&seen, at(100), 4), None, "the round was not full");
        assert_eq!(Candidate::next(&seen, at(90), 3), None, "no later task can have ended before");
        assert_eq!(Candidate::next(&[], at(90), 0), None);
    }

    #[test]
    fn archive_of_a_running_task_or_changed_lately_is_kept() {
        let archive = |id, task, created, updated, ended: Option<i64>| ArchiveCandidate {
            id: ArtifactId(id),
            task: TaskId(task),
            created_at: at(created),
            updated_at: at(updated),
            ended_at: ended.map(at),
        };
        let seen = [
            archive(1, 7, 50, 50, Some(60)),
            archive(2, 7, 51, 51, Some(60)),
            archive(3, 8, 50, 120, Some(60)),
            archive(4, 9, 50, 50, None),
            archive(5, 6, 50, 50, Some(100)),
        ];
        assert_eq!(ArchiveCandidate::old(&seen, at(100)), [7]);
        assert_eq!(ArchiveCandidate::next(&seen, at(100), 5), Some(ArtifactId(5)));
        assert_eq!(ArchiveCandidate::next(&seen, at(50), 5), None, "all are younger");
    }
}
