//! Ranges of tasks of a job.

use super::read::Reserved;
use crate::ops::jobs::JobTasks;

/// The ranges of ids of the selected tasks after an index. States do not matter.
pub(super) fn ids(job: &Reserved, tasks: &JobTasks, after: u64) -> Vec<(i64, i64)> {
    let id = |index: u64| job.first.saturating_add(i64::try_from(index - 1).unwrap_or(i64::MAX));
    tasks.ranges_between(after, job.size).map(|(from, to)| (id(from), id(to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_clipped_to_the_job() {
        let job = Reserved { first: 101, size: 10 };
        let ids = |indices: &[(u64, u64)], after| {
            ids(&job, &JobTasks { indices: indices.to_vec(), states: Vec::new() }, after)
        };
        assert_eq!(ids(&[], 0), [(101, 110)]);
        assert_eq!(ids(&[], 4), [(105, 110)]);
        assert_eq!(ids(&[(0, 2), (5, 5), (9, 99), (11, 12)], 1), [(102, 102), (105, 105), (109, 110)]);
        assert_eq!(ids(&[(1, 3)], 10), []);
    }
}
