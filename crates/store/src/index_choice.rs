//! The choice of the index that a task query walks, the same in both databases.

use std::time::Duration;

use mitosis_domain::comparison::Operator;
use mitosis_domain::filter::{Condition, Moment};
use mitosis_protocol::{TaskState, Timestamp};

use crate::ops::query::TaskQuery;
use crate::ops::sweeps::EndedTasks;

/// The condition that no other task repeats this one.
pub(crate) const NOT_REPEATED: &str = "NOT EXISTS (SELECT 1 FROM task r WHERE r.repeats_uuid = t.uuid)";

/// The condition that a task has ended in the given way. The numbers are those of `enum_codes.rs`;
/// [`mitosis_domain::task::Ending::failed`] defines which tasks have failed.
pub(crate) const fn ended_condition(ended: EndedTasks) -> &'static str {
    match ended {
        EndedTasks::Any => "EXISTS (SELECT 1 FROM done o WHERE o.task_id = t.id)",
        EndedTasks::Failed => {
            "EXISTS (SELECT 1 FROM done o WHERE o.task_id = t.id
                -- Not cancelled by a user (6) or because of another task (10), and either no success or an output was not stored (2).
                AND coalesce(o.message, -1) NOT IN (6, 10)
                AND (o.state <> 3 OR o.exit_status <> 0 OR coalesce(o.message, -1) = 2))"
        }
    }
}

/// The exit code of a task as a shell shows it; see [`ShellCode`](mitosis_protocol::ShellCode).
pub(crate) const EXIT_CODE: &str = "(
    SELECT CASE WHEN (exit_status & 127) = 0 THEN (exit_status >> 8) & 255 ELSE 128 + (exit_status & 127) END
    FROM done WHERE done.task_id = t.id)";

/// The time at which a task ended.
pub(crate) const FINISHED_AT: &str = "(SELECT finished_at FROM done WHERE done.task_id = t.id)";

/// How far the clocks of coordinators may differ, and so the order of ids from the order of times.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// The range of submission times that a query selects, extended by [`CLOCK_SKEW`]. Only this part of an index
/// has to be walked.
pub(crate) fn created_between(query: &TaskQuery) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut since, mut until) = (None, None);
    for condition in &query.also {
        let Condition::Created(Moment { operator, at }) = condition else { continue };
        match operator {
            Operator::Greater | Operator::GreaterOrEqual => since = since.max(Some(*at - CLOCK_SKEW)),
            Operator::Less | Operator::LessOrEqual => {
                let at = *at + CLOCK_SKEW;
                until = Some(until.map_or(at, |until: Timestamp| until.min(at)));
            }
            Operator::Equal | Operator::NotEqual => {}
        }
    }
    (since, until)
}

/// Finds the first id from which on a condition holds, with a few single-row lookups. It is used for a column
/// that increases with the id and has no index of its own.
#[derive(Debug)]
pub(crate) struct Bisection {
    low: i64,
    high: i64,
}

impl Bisection {
    /// Searches ids up to `last`.
    pub(crate) const fn up_to(last: i64) -> Self {
        Self { low: 0, high: last.saturating_add(1) }
    }

    /// The id from which on to look up the next row; none once the search is complete.
    pub(crate) const fn next(&self) -> Option<i64> {
        match self.low < self.high {
            true => Some(self.low + (self.high - self.low) / 2),
            false => None,
        }
    }

    /// Records the first row from `place` on, if there is one, and whether the condition holds for it.
    pub(crate) fn record(&mut self, place: i64, row: Option<(i64, bool)>) {
        match row {
            Some((id, false)) => self.low = id + 1,
            Some((_, true)) | None => self.high = place,
        }
    }

    /// The smallest id for which the condition holds, or one larger than all ids.
    pub(crate) const fn found(&self) -> i64 {
        self.low
    }
}

/// The index that a query walks: the one with the fewest rows that don't match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Tasks with one of the requested labels.
    Label,
    /// Tasks that one worker has committed.
    Reporter,
    /// Tasks in some of the states before the end.
    Live,
    /// Tasks that failed, were cancelled, or ended with a message: few among many.
    Unusual,
    /// Tasks of one creator in the group.
    Creator,
    /// All tasks of the group.
    Group,
}

impl Walk {
    /// Chooses an index from the query alone.
    pub(crate) fn choose(query: &TaskQuery) -> Self {
        let live =
            |state: &TaskState| matches!(state, TaskState::Pending | TaskState::Ready | TaskState::Running);
        if !query.labels.is_empty() {
            Self::Label
        } else if query.reporter.is_some() {
            Self::Reporter
        } else if query.states.as_ref().is_some_and(|states| states.iter().all(live)) {
            Self::Live
        } else if only_unusual(query, None) {
            Self::Unusual
        } else if query.creators.as_ref().is_some_and(|creators| creators.len() == 1) {
            Self::Creator
        } else {
            Self::Group
        }
    }

    /// Whether to walk the unusual ends instead, if they are fewer than the tasks with the label. To find out,
    /// both are counted up to [`FEW`].
    pub(crate) fn may_be_unusual(self, query: &TaskQuery, ended: Option<EndedTasks>) -> bool {
        self == Self::Label && only_unusual(query, ended)
    }

    /// The walk over fewer tasks, once both are counted.
    pub(crate) const fn or_unusual(self, labelled: i64, unusual: i64) -> Self {
        if labelled < FEW || labelled < unusual { self } else { Self::Unusual }
    }

    /// The column that the index is ordered by.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Group | Self::Creator => "t.id",
            Self::Label | Self::Reporter | Self::Live | Self::Unusual => "walk.task_id",
        }
    }

    /// The column with the number of the state, if the walk has one.
    pub(crate) const fn state(self) -> Option<&'static str> {
        match self {
            Self::Unusual | Self::Reporter => Some("walk.state"),
            Self::Label | Self::Live | Self::Creator | Self::Group => None,
        }
    }

    /// An expression for the exit status of a task that has a result.
    pub(crate) const fn exit_status(self) -> &'static str {
        match self {
            Self::Unusual | Self::Reporter => "walk.exit_status",
            Self::Label | Self::Live | Self::Creator | Self::Group => {
                "(SELECT exit_status FROM done WHERE done.task_id = t.id)"
            }
        }
    }
}

/// The number of tasks that can be scanned in a moment with any conditions.
pub(crate) const FEW: i64 = 20_000;

/// The condition of the index of unusual ends. A query has to repeat it literally for the index to be used.
macro_rules! unusual_ends {
    () => {
        "exit_status <> 0 OR state <> 3 OR message IS NOT NULL"
    };
}
pub(crate) use unusual_ends;

/// Whether every match is an unusual end, or was reported as cancelled and has no result yet.
fn only_unusual(query: &TaskQuery, ended: Option<EndedTasks>) -> bool {
    let cancelled = |states: &Vec<TaskState>| {
        !states.is_empty() && states.iter().all(|state| *state == TaskState::Cancelled)
    };
    ended == Some(EndedTasks::Failed)
        || query.exit_status.is_some_and(|wanted| !wanted.holds(0))
        || query.states.as_ref().is_some_and(cancelled)
}

/// Whether the query has no conditions but labels. A label belongs to one group, and so do its tasks.
pub(crate) fn only_labels(query: &TaskQuery) -> bool {
    let TaskQuery { group, labels, .. } = query;
    !labels.is_empty() && *query == TaskQuery { labels: labels.clone(), ..TaskQuery::all_of(*group) }
}

#[cfg(test)]
mod tests {
    use mitosis_domain::comparison::Comparison;
    use mitosis_domain::ids::GroupId;
    use mitosis_domain::tags::TagSet;

    use super::*;

    #[test]
    fn query_walks_the_smallest_index() {
        let all = TaskQuery::all_of(GroupId(1));
        let status = |text: &str| Some(text.parse::<Comparison>().unwrap());
        let states = |state| Some(vec![state]);
        let label = TagSet::new(["night"]).unwrap();
        for (query, walk) in [
            (all.clone(), Walk::Group),
            (TaskQuery { exit_status: status("=0"), ..all.clone() }, Walk::Group),
            (TaskQuery { exit_status: status("!=0"), ..all.clone() }, Walk::Unusual),
            (TaskQuery { exit_status: status(">=256"), ..all.clone() }, Walk::Unusual),
            (TaskQuery { states: states(TaskState::Cancelled), ..all.clone() }, Walk::Unusual),
            (TaskQuery { states: states(TaskState::Finished), ..all.clone() }, Walk::Group),
            (TaskQuery { states: states(TaskState::Ready), ..all.clone() }, Walk::Live),
            (TaskQuery { creators: Some(vec!["ann".to_owned()]), ..all.clone() }, Walk::Creator),
            (TaskQuery { labels: label.clone(), exit_status: status("!=0"), ..all.clone() }, Walk::Label),
        ] {
            assert_eq!(Walk::choose(&query), walk, "{query:?}");
        }
        let failed = TaskQuery { labels: label.clone(), exit_status: status("!=0"), ..all.clone() };
        assert!(Walk::Label.may_be_unusual(&failed, None));
        assert!(!only_labels(&failed));
        let labelled = TaskQuery { labels: label, ..all.clone() };
        assert!(only_labels(&labelled) && !only_labels(&all));
        assert!(!Walk::Label.may_be_unusual(&labelled, Some(EndedTasks::Any)));
        assert!(Walk::Label.may_be_unusual(&labelled, Some(EndedTasks::Failed)));
    }

    #[test]
    fn bisection_finds_the_first_row_in_few_lookups() {
        // Ids with gaps. The condition holds from the id on.
        let ids: Vec<i64> = (1..100_000).map(|number| number * 7).collect();
        for from in [0, 1, 7, 8, 350_000, 699_993, 699_994, 800_000] {
            let (mut bisection, mut looks) = (Bisection::up_to(699_993), 0);
            while let Some(place) = bisection.next() {
                let row = ids.get(ids.partition_point(|id| *id < place)).map(|id| (*id, *id >= from));
                bisection.record(place, row);
                looks += 1;
            }
            let first = ids.iter().find(|id| **id >= from);
            match first {
                Some(first) => {
                    assert_eq!(ids.iter().find(|id| **id >= bisection.found()), Some(first), "{from}");
                }
                None => assert!(bisection.found() > 699_993),
            }
            assert!(looks <= 20, "{looks}");
        }
    }
}
