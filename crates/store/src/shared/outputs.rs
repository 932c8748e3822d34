//! Reads the outputs of ended tasks.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use mitosis_protocol::ArtifactKind;
use uuid::Uuid;

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
    SELECT t.uuid, g.name AS group_name, d.exit_status, d.message, d.warnings, a.id AS log_id, i.bytes
    FROM task t
    INNER JOIN done d ON d.task_id = t.id
    INNER JOIN groups g ON g.id = t.group_id
    LEFT JOIN artifact a ON a.task_id = t.id AND a.kind = $2 AND a.visible
    LEFT JOIN inline_archive i ON i.artifact_id = a.id
    WHERE t.uuid = ANY($1::uuid[])"
);

async fn ended_outputs(db: Db<'_>, tasks: &[Uuid]) -> Result<HashMap<Uuid, EndedOutput>, StoreError> {
    db.all(ENDED_OUTPUTS, &[&List(tasks), &ArtifactKind::StdLog.code()], read).await
}

fn read(row: &Row<'_>) -> Result<(Uuid, EndedOutput), StoreError> {
    let log = match (row.value::<Option<i64>>("log_id")?, row.value::<Option<Vec<u8>>>("bytes")?) {
        (None, _) => None,
        (Some(_), Some(bytes)) => Some(StoredLog::Inline(Bytes::from(bytes))),
        (Some(_), None) => Some(StoredLog::Object),
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
        assert_searches(ENDED_OUTPUTS, &["t", "d", "g", "a", "i"]);
    }
}
