//! The query plans of SQLite, for tests.

use super::{lock, schema};
use crate::db::Sql;

/// The steps of the plan of a statement in an empty database.
pub(crate) fn steps(sql: Sql) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = lock::prepare(&folder.path().join("state.db")).unwrap();
    let mut db = schema::open_for_writing(&file).unwrap();
    schema::migrate(&mut db).unwrap();
    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.sqlite)).unwrap();
    let steps = plan.raw_query().mapped(|row| row.get("detail"));
    steps.collect::<Result<_, _>>().unwrap()
}

/// Checks that every table is searched by a key, in this order. Only parameter lists may be scanned.
#[track_caller]
pub(crate) fn assert_searches(sql: Sql, tables: &[&str]) {
    let steps = steps(sql);
    let is_table = |step: &&String| !step.contains("VIRTUAL TABLE") && !step.contains("CONSTANT ROW");
    let scanned: Vec<&String> =
        steps.iter().filter(|step| step.starts_with("SCAN ")).filter(is_table).collect();
    assert!(scanned.is_empty(), "{steps:#?}");
    let searched: Vec<&str> =
        steps.iter().filter_map(|step| step.strip_prefix("SEARCH ")?.split(' ').next()).collect();
    assert_eq!(searched, tables, "{steps:#?}");
}
