//! Along which index a query for tasks goes, the same in both databases.

use mitosis_protocol::TaskState;

use crate::ops::query::TaskQuery;
use crate::ops::sweeps::Over;

/// No other task repeats this one.
pub(crate) const NOT_REPEATED: &str = "NOT EXISTS (SELECT 1 FROM task r WHERE r.repeats_uuid = t.uuid)";

/// The task is over, in this way. The numbers are those of `code.rs`; what failed is said by
/// `mitosis_domain::task::Ending::failed`.
pub(crate) const fn over_condition(over: Over) -> &'static str {
    match over {
        Over::AnyHow => "EXISTS (SELECT 1 FROM done o WHERE o.task_id = t.id)",
        Over::Failed => {
            "EXISTS (SELECT 1 FROM done o WHERE o.task_id = t.id
                -- Not cancelled by a user (6); and no success, or one that lost something (2).
                AND coalesce(o.message, -1) <> 6
                AND (o.state <> 3 OR o.exit_status <> 0 OR coalesce(o.message, -1) = 2))"
        }
    }
}

/// The index that a query walks: the one with the fewest rows beside the matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Tasks with one of the labels asked for.
    Label,
    /// Tasks that one worker has committed.
    Reporter,
    /// Tasks in some of the states that end sometime.
    Live,
    /// All tasks of the group.
    Group,
}

impl Walk {
    /// Follows from the query alone.
    pub(crate) fn choose(query: &TaskQuery) -> Self {
        let live =
            |state: &TaskState| matches!(state, TaskState::Pending | TaskState::Ready | TaskState::Running);
        if !query.labels.is_empty() {
            Self::Label
        } else if query.reporter.is_some() {
            Self::Reporter
        } else if query.states.as_ref().is_some_and(|states| states.iter().all(live)) {
            Self::Live
        } else {
            Self::Group
        }
    }

    /// The column that the index is ordered by.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Group => "t.id",
            Self::Label | Self::Reporter | Self::Live => "walk.task_id",
        }
    }
}
