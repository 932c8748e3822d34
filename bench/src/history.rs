//! Pages of a history of ten million tasks. The history is written directly into the database, since running it
//! would take an hour.

use std::time::Instant;

use mitosis_protocol::Uuid;
use mitosis_protocol::task::QueryTasksRequest;
use rusqlite::Connection;
use tokio_postgres::NoTls;

use crate::mito::{Kind, Mito, query};
use crate::numbers::Numbers;
use crate::table::{Table, millis, shown};
use crate::{Error, Plan};

/// Rows on a page.
const PAGE: u64 = 100;
const REPORTER: &str = "00000000-0000-4000-8000-000000000042";

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let rows = plan.size(10_000_000, 100_000);
    let times = plan.size(200, 20);
    let mut table = Table::new(
        format!("{rows} ended tasks, {times} pages of {PAGE} each, over HTTP, warm: milliseconds"),
        &["program", "question", "p50", "p99", "max"],
    );
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.restart_around(async |database| fill(kind, database, rows).await).await?;
        for (name, question) in questions(&mito, rows).await? {
            // The first page is read with a cold cache.
            mito.user.query_tasks(&question).await?;
            let mut spent = Numbers::default();
            let times = if question.count { plan.rounds } else { times };
            for _ in 0..times {
                let begun = Instant::now();
                mito.user.query_tasks(&question).await?;
                spent.add(millis(begun.elapsed()));
            }
            table.row([
                kind.name().to_owned(),
                name.to_owned(),
                shown(spent.median()),
                shown(spent.quantile(0.99)),
                shown(spent.max()),
            ]);
        }
    }
    table.print();
    Ok(())
}

/// Writes a history into a database without other users.
pub(crate) async fn fill(kind: Kind, database: &str, rows: usize) -> Result<(), Error> {
    match kind {
        Kind::Embedded => fill_sqlite(database, rows),
        Kind::Postgres => fill_postgres(database, rows).await,
    }
}

async fn questions(mito: &Mito, rows: usize) -> Result<Vec<(&'static str, QueryTasksRequest)>, Error> {
    let page = |label: &str| QueryTasksRequest { limit: Some(PAGE), ..query(label) };
    let everything = || QueryTasksRequest { limit: Some(PAGE), ..QueryTasksRequest::default() };
    let middle = QueryTasksRequest { limit: Some(1), ..query(&format!("run-{}", rows / 20_000)) };
    let middle: Option<Uuid> = mito.user.query_tasks(&middle).await?.tasks.first().map(|task| task.uuid);
    let failed = |mut question: QueryTasksRequest| {
        question.filter.exit_status = Some("!=0".to_owned());
        question
    };
    let mut rare = everything();
    rare.filter.creator_usernames = Some(vec!["rare".to_owned()]);
    Ok(vec![
        ("the newest", everything()),
        ("a label of every tenth", page("nightly")),
        ("a label of ten thousand", page("run-0")),
        ("the same from its middle", QueryTasksRequest { before: middle, ..page("nightly") }),
        ("what failed", failed(everything())),
        ("what failed of a label", failed(page("nightly"))),
        ("of a rare creator", rare),
        ("by one worker", QueryTasksRequest { reporter_uuid: Some(REPORTER.parse()?), ..everything() }),
        ("count of a label", QueryTasksRequest { count: true, ..query("nightly") }),
    ])
}

/// One in two hundred failed, one in a thousand was cancelled, every tenth is `nightly`, each ten thousand
/// share a label, and one in ten thousand has another owner.
const FILL_POSTGRES: &str = "
    INSERT INTO users (username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
    VALUES ('rare', '', false, 0, 8, 0, 0, 0);
    INSERT INTO tag_set (digest, tags) VALUES (sha256('[]'), '[]') ON CONFLICT DO NOTHING;
    INSERT INTO lane (group_id, tag_set_id) SELECT g.id, s.id FROM groups g, tag_set s ON CONFLICT DO NOTHING;
    INSERT INTO label (group_id, name)
    SELECT g.id, names.name FROM groups g, (
        SELECT 'run-' || i FROM generate_series(0, ROWS / 10000) i UNION ALL SELECT 'nightly') AS names (name);
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at)
    SELECT i, gen_random_uuid(), g.id, i, CASE WHEN i % 10000 = 0 THEN u.id ELSE g.creator_id END, l.id, 0,
        to_jsonb(CASE WHEN i % 10 = 0 THEN ARRAY['nightly', 'run-' || (i / 10000)]
                      ELSE ARRAY['run-' || (i / 10000)] END),
        '{\"args\":[\"true\"]}', 600, 1700000000000000 + i * 1000, 1700000000000000 + i * 1000
    FROM generate_series(1::bigint, ROWS) i, groups g, lane l, users u WHERE u.username = 'rare';
    INSERT INTO task_label SELECT l.id, i FROM generate_series(1::bigint, ROWS) i
    JOIN label l ON l.name = 'run-' || (i / 10000);
    INSERT INTO task_label SELECT l.id, i FROM label l, generate_series(10::bigint, ROWS, 10) i
    WHERE l.name = 'nightly';
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, epoch, token, claimed_at, finished_at)
    SELECT i, CASE WHEN i % 1000 = 1 THEN 4 ELSE 3 END, CASE WHEN i % 200 = 0 THEN 256 ELSE 0 END,
        CASE WHEN i % 1000 = 1 THEN 6 END,
        ('00000000-0000-4000-8000-' || lpad((i % 100)::text, 12, '0'))::uuid, 1, i,
        1700000000000000 + i * 1000 + 10, 1700000000000000 + i * 1000 + 20
    FROM generate_series(1::bigint, ROWS) i;
    UPDATE groups SET task_count = ROWS;
    SELECT setval('task_id', ROWS + 1);";

/// The indexes of the large tables. They are created again after the rows, which is many times faster.
const INDEXES: &str = "
    SELECT CASE WHEN c.conname IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
                ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', i.indrelid::regclass, c.conname) END,
           CASE WHEN c.conname IS NULL THEN pg_get_indexdef(i.indexrelid)
                ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', i.indrelid::regclass, c.conname,
                            pg_get_constraintdef(c.oid)) END
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
    WHERE i.indrelid IN ('task'::regclass, 'task_label'::regclass, 'done'::regclass)";

async fn fill_postgres(database: &str, rows: usize) -> Result<(), Error> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    mitosis_testkit::spawn(connection);
    client.batch_execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'").await?;
    let indexes: Vec<(String, String)> =
        client.query(INDEXES, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (drop, _) in &indexes {
        client.batch_execute(drop).await?;
    }
    client.batch_execute(&FILL_POSTGRES.replace("ROWS", &rows.to_string())).await?;
    for (_, make) in &indexes {
        client.batch_execute(make).await?;
    }
    Ok(client.batch_execute("VACUUM ANALYZE").await?)
}

const FILL_SQLITE: &str = "
    INSERT INTO users (username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
    VALUES ('rare', '', 0, 0, 8, 0, 0, 0);
    INSERT OR IGNORE INTO tag_set (tags) VALUES ('[]');
    INSERT OR IGNORE INTO lane (group_id, tag_set_id) SELECT g.id, s.id FROM groups g, tag_set s;
    CREATE TEMP TABLE series (i INTEGER PRIMARY KEY);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)
    INSERT INTO series SELECT i FROM n;
    INSERT INTO label (group_id, name) SELECT g.id, 'run-' || (i - 1) FROM groups g, series
    WHERE i <= ROWS / 10000 + 1;
    INSERT INTO label (group_id, name) SELECT id, 'nightly' FROM groups;
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at)
    SELECT i, unhex(printf('%08x00004000800000000000%04x', i, i % 65536)), g.id, i,
        iif(i % 10000 = 0, u.id, g.creator_id), l.id, 0,
        iif(i % 10 = 0, json_array('nightly', 'run-' || (i / 10000)), json_array('run-' || (i / 10000))),
        '{\"args\":[\"true\"]}', 600, 1700000000000000 + i * 1000, 1700000000000000 + i * 1000
    FROM series, groups g, lane l, users u WHERE u.username = 'rare';
    INSERT INTO task_label SELECT l.id, i FROM label l CROSS JOIN series
    WHERE l.name LIKE 'run-%' AND i BETWEEN substr(l.name, 5) * 10000 AND substr(l.name, 5) * 10000 + 9999
    ORDER BY l.id, i;
    INSERT INTO task_label SELECT l.id, i FROM label l, series WHERE l.name = 'nightly' AND i % 10 = 0;
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, epoch, token, claimed_at, finished_at)
    SELECT i, iif(i % 1000 = 1, 4, 3), iif(i % 200 = 0, 256, 0), iif(i % 1000 = 1, 6, NULL),
        unhex(printf('000000000000400080000000%08d', i % 100)), 1, i,
        1700000000000000 + i * 1000 + 10, 1700000000000000 + i * 1000 + 20
    FROM series;
    UPDATE groups SET task_count = ROWS;";

fn fill_sqlite(database: &str, rows: usize) -> Result<(), Error> {
    let db = Connection::open(database.trim_start_matches("sqlite://"))?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY;")?;
    let indexes: Vec<(String, String)> = db
        .prepare(
            "SELECT 'DROP INDEX ' || name, sql FROM sqlite_schema
             WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('task', 'task_label', 'done')",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (drop, _) in &indexes {
        db.execute_batch(drop)?;
    }
    db.execute_batch(&format!("BEGIN; {} COMMIT;", FILL_SQLITE.replace("ROWS", &rows.to_string())))?;
    for (_, make) in &indexes {
        db.execute_batch(make)?;
    }
    Ok(db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?)
}
