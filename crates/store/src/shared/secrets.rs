//! Secrets of groups.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;

use super::rights;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::row_count;
use crate::ops::Actor;
use crate::ops::secrets::{SealedSecret, SecretChange, SecretRemoval, Secrets, StoredSecret};

#[async_trait]
impl<B: Backend> Secrets for B {
    async fn set_secret(
        &self,
        by: UserId,
        group: GroupId,
        name: &str,
        value: &SealedSecret,
        most: u64,
        now: Timestamp,
    ) -> Result<SecretChange, StoreError> {
        let change = (by, group, name.to_owned(), value.clone(), most, now);
        self.write(change, |db, (by, group, name, value, most, now)| {
            Box::pin(set(db, *by, *group, name, value, *most, *now))
        })
        .await
    }

    async fn remove_secret(
        &self,
        by: UserId,
        group: GroupId,
        name: &str,
    ) -> Result<SecretRemoval, StoreError> {
        self.write((by, group, name.to_owned()), |db, (by, group, name)| {
            Box::pin(remove(db, *by, *group, name))
        })
        .await
    }

    async fn secrets(&self, group: GroupId) -> Result<Vec<StoredSecret>, StoreError> {
        self.read(group, |db, group| Box::pin(async move { db.all(OF_GROUP, &[&group.0], read).await })).await
    }

    async fn sealed_secrets(
        &self,
        names: &[(GroupId, String)],
    ) -> Result<HashMap<(GroupId, String), SealedSecret>, StoreError> {
        self.read(names.to_vec(), |db, names| Box::pin(sealed(db, names))).await
    }
}

const HOLD_GROUP: &str = "SELECT 1 FROM groups WHERE id = $1 FOR UPDATE";

const COUNT_OTHERS: Sql = sql!("SELECT count(*) FROM group_secret WHERE group_id = $1 AND name <> $2");

const SET: Sql = sql!(
    "
    INSERT INTO group_secret (group_id, name, key_id, sealed, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (group_id, name) DO UPDATE
    SET key_id = excluded.key_id, sealed = excluded.sealed, set_by = excluded.set_by, set_at = excluded.set_at"
);

async fn set(
    db: Db<'_>,
    by: UserId,
    group: GroupId,
    name: &str,
    value: &SealedSecret,
    most: u64,
    now: Timestamp,
) -> Result<SecretChange, StoreError> {
    // Two new secrets at the same time must not pass the same count.
    db.lock(HOLD_GROUP, &[&group.0]).await?;
    if !rights::may(db, Actor::User(by), group, Action::ManageSecrets).await? {
        return Ok(SecretChange::Denied);
    }
    let others: i64 = db.one(COUNT_OTHERS, &[&group.0, &name], only).await?;
    if others >= row_count(most) {
        return Ok(SecretChange::TooMany);
    }
    let SealedSecret { key_id, sealed } = value;
    let params: Params<'_> = &[&group.0, &name, key_id, sealed, &by.0, &now.unix_micros()];
    db.run_one(SET, params).await?;
    Ok(SecretChange::Set)
}

const REMOVE: Sql = sql!("DELETE FROM group_secret WHERE group_id = $1 AND name = $2");

async fn remove(db: Db<'_>, by: UserId, group: GroupId, name: &str) -> Result<SecretRemoval, StoreError> {
    if !rights::may(db, Actor::User(by), group, Action::ManageSecrets).await? {
        return Ok(SecretRemoval::Denied);
    }
    match db.run(REMOVE, &[&group.0, &name]).await? {
        0 => Ok(SecretRemoval::Unknown),
        _ => Ok(SecretRemoval::Removed),
    }
}

const OF_GROUP: Sql = sql!(
    "
    SELECT s.name, s.key_id, u.username AS set_by, s.set_at
    FROM group_secret s INNER JOIN users u ON u.id = s.set_by
    WHERE s.group_id = $1 ORDER BY s.name"
);

fn read(row: &Row<'_>) -> Result<StoredSecret, StoreError> {
    Ok(StoredSecret {
        name: row.value("name")?,
        key_id: row.value("key_id")?,
        set_by: row.value("set_by")?,
        set_at: row.time("set_at")?,
    })
}

/// Each name in each group; those that were not asked for are left out afterwards.
const SEALED: Sql = sql!(
    "
    SELECT group_id, name, key_id, sealed FROM group_secret WHERE group_id = ANY($1) AND name = ANY($2)"
);

async fn sealed(
    db: Db<'_>,
    names: &[(GroupId, String)],
) -> Result<HashMap<(GroupId, String), SealedSecret>, StoreError> {
    let groups: BTreeSet<i64> = names.iter().map(|(group, _)| group.0).collect();
    let texts: BTreeSet<&String> = names.iter().map(|(_, name)| name).collect();
    let groups: Vec<i64> = groups.into_iter().collect();
    let texts: Vec<String> = texts.into_iter().cloned().collect();
    let wanted: HashSet<&(GroupId, String)> = names.iter().collect();
    let found: Vec<((GroupId, String), SealedSecret)> = db
        .all(SEALED, &[&List(&groups), &List(&texts)], |row| {
            let key = (GroupId(row.value("group_id")?), row.value("name")?);
            Ok((key, SealedSecret { key_id: row.value("key_id")?, sealed: row.value("sealed")? }))
        })
        .await?;
    Ok(found.into_iter().filter(|(key, _)| wanted.contains(key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_group() {
        assert_searches(COUNT_OTHERS, &["group_secret"]);
        assert_searches(OF_GROUP, &["s", "u"]);
        assert_searches(SEALED, &["group_secret"]);
    }
}
