//! Which other tasks a task names, the same in both databases.

use std::collections::BTreeSet;

use mitosis_domain::spec;
use mitosis_protocol::TaskSpec;
use uuid::Uuid;

/// The tasks whose archives it fetches, and the one it watches. They are not forgotten while it lives.
pub(crate) fn named_by(spec: &TaskSpec) -> BTreeSet<Uuid> {
    spec::named(spec).collect()
}
