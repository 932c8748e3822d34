//! References between tasks, the same in both databases.

use std::collections::BTreeSet;

use mitosis_domain::spec;
use mitosis_protocol::TaskSpec;
use uuid::Uuid;

/// The tasks whose archives a task fetches, and the one it watches. They are not deleted before this task has
/// ended.
pub(crate) fn referenced_by(spec: &TaskSpec) -> BTreeSet<Uuid> {
    spec::referenced_tasks(spec).collect()
}
