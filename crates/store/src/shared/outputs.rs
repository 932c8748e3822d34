//! Reads the outputs of ended tasks.

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_protocol::ArtifactKind;
use uuid::Uuid;

use super::artifacts::small;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::outputs::{EndedOutput, Outputs, StoredLog};

#[async_trait]
impl<B: Backend> Outputs for B {
    async fn ended_outputs(&self, tasks: &[Uuid]) -> Result<HashMap<Uuid, EndedOutput>, StoreError> {
        self.read_for_user(tasks.to_vec(), |db, tasks| Box::pin(ended_outputs(db, tasks))).await
    }

    async fn has_ended(&self, task: Uuid) -> Result<bool, StoreError> {
        self.read_for_user(task, |db, task| Box::pin(async move { db.one(HAS_ENDED, &[task], only).await }))
            .await
    }
}

const ENDED_OUTPUTS: Sql = sql!(
    "
    SELECT t.uuid, g.name AS group_name, d.exit_status, d.message, d.warnings, a.id AS log_id, a.size, i.bytes,
        p.byte_offset, o.object AS packed_object
    FROM task t
    INNER JOIN done d ON d.task_id = t.id
    INNER JOIN groups g ON g.id = t.group_id
    LEFT JOIN artifact a ON a.task_id = t.id AND a.kind = $2 AND a.visible
    LEFT JOIN inline_archive i ON i.artifact_id = a.id
    LEFT JOIN packed_archive p ON p.artifact_id = a.id
    LEFT JOIN packed_object o ON o.id = p.packed_id
    WHERE t.uuid = ANY($1::uuid[])"
);

async fn ended_outputs(db: Db<'_>, tasks: &[Uuid]) -> Result<HashMap<Uuid, EndedOutput>, StoreError> {
    db.all(ENDED_OUTPUTS, &[&List(tasks), &ArtifactKind::StdLog.code()], read).await
}

fn read(row: &Row<'_>) -> Result<(Uuid, EndedOutput), StoreError> {
    let log = match row.value::<Option<i64>>("log_id")? {
        None => None,
        Some(_) => Some(small::read(row)?.map_or(StoredLog::Object, StoredLog::Small)),
    };
    let output = EndedOutput {
        group_name: row.value("group_name")?,
        result: row.result()?,
        warnings: row.warnings("warnings")?,
        log,
    };
    Ok((row.value("uuid")?, output))
}

const HAS_ENDED: Sql = sql!(
    "
    SELECT EXISTS (SELECT 1 FROM task t INNER JOIN done d ON d.task_id = t.id WHERE t.uuid = $1)"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_tasks() {
        assert_searches(ENDED_OUTPUTS, &["t", "d", "g", "a", "i", "p", "o"]);
    }
}
