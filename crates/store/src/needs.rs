//! Which other tasks a task names, the same in both databases.

use std::collections::BTreeSet;

use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::RemoteFile;
use uuid::Uuid;

/// The tasks whose archives it fetches, and the one it watches. They are not forgotten while it lives.
pub(crate) fn named_by(spec: &TaskSpec) -> BTreeSet<Uuid> {
    let fetched = spec.resources.iter().filter_map(|resource| match &resource.remote_file {
        RemoteFile::Artifact { uuid, .. } => Some(*uuid),
        RemoteFile::Attachment { .. } => None,
    });
    fetched.chain(spec.watch.map(|(watched, _)| watched)).collect()
}
