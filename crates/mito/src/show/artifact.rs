//! Shows artifacts.

use mitosis_protocol::ArtifactInfo;

use super::record::{Cell, Fact};

/// Formats the artifacts, one line each.
pub(super) fn facts(artifacts: &[ArtifactInfo]) -> Vec<Fact> {
    match artifacts {
        [] => vec![("artifacts", Cell::text("none"))],
        artifacts => artifacts
            .iter()
            .map(|artifact| {
                let start = format!("{} ({} bytes, ", artifact.content_type, artifact.size);
                let parts = vec![Cell::Text(start), Cell::Time(artifact.updated_at), Cell::text(")")];
                ("artifact", Cell::Parts(parts))
            })
            .collect(),
    }
}
