//! Artifacts that tasks of a job fetch from tasks of needed jobs.

use mitosis_domain::ids::JobId;
use mitosis_protocol::ArtifactKind;
use mitosis_protocol::job::NeedKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::ops::jobs::NeededArtifact;

/// An artifact of a needed job, as it is stored with the dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FetchedArtifact {
    /// The kind of the artifact.
    pub(super) kind: ArtifactKind,
    /// The destination.
    pub(super) path: String,
}

const SOURCES: Sql = sql!(
    "
    SELECT x.kind, x.artifacts, n.first_id
    FROM job_dependency x INNER JOIN job n ON n.id = x.needed_id
    WHERE x.job_id = $1 AND x.artifacts IS NOT NULL ORDER BY x.needed_id"
);

/// A needed job with artifacts to fetch.
struct Source {
    kind: NeedKind,
    artifacts: Vec<FetchedArtifact>,
    first_id: i64,
}

fn read_source(row: &Row<'_>) -> Result<Source, StoreError> {
    Ok(Source {
        kind: row.code("kind")?,
        artifacts: row.optional_json("artifacts")?.unwrap_or_default(),
        first_id: row.value("first_id")?,
    })
}

const TASKS: Sql = sql!("SELECT id, uuid FROM task WHERE id BETWEEN $1 AND $2 ORDER BY id");

/// What `count` tasks after the first `written` fetch.
pub(super) async fn needed(
    db: Db<'_>,
    id: JobId,
    (written, count): (u64, u64),
) -> Result<Vec<NeededArtifact>, StoreError> {
    let sources: Vec<Source> = db.all(SOURCES, &[&id.0], read_source).await?;
    let mut needed = Vec::new();
    for source in sources {
        let is_each = source.kind == NeedKind::Each;
        let offset = if is_each { row_count(written) } else { 0 };
        let first = source.first_id.saturating_add(offset);
        let last = if is_each { first.saturating_add(row_count(count)) - 1 } else { first };
        let tasks: Vec<(i64, Uuid)> =
            db.all(TASKS, &[&first, &last], |row| Ok((row.value("id")?, row.value("uuid")?))).await?;
        for (task, uuid) in tasks {
            let same = written + (task - first).unsigned_abs() + 1;
            let indices = if is_each { same..=same } else { written + 1..=written + count };
            needed.extend(indices.flat_map(|index| source.of(index, uuid)));
        }
    }
    Ok(needed)
}

impl Source {
    fn of(&self, index: u64, task: Uuid) -> impl Iterator<Item = NeededArtifact> + '_ {
        self.artifacts.iter().map(move |artifact| NeededArtifact {
            index,
            task,
            content_type: artifact.kind,
            local_path: artifact.path.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_dependent_job() {
        assert_searches(SOURCES, &["x", "n"]);
        assert_searches(TASKS, &["task"]);
    }
}
