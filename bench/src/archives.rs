//! A million small archives of output: in the database, and packed into objects.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mitosis_client::WorkerClient;
use mitosis_protocol::agent::{AssignedTask, EndedTask, InlineArchive, ReportBatch};
use mitosis_protocol::doctor::SmallArchives;
use mitosis_protocol::output::{EndedLog, LogsQuery, OutputsRequest};
use mitosis_protocol::{ArtifactKind, Uuid};

use crate::mito::{Kind, Mito, query, task};
use crate::noop::{register, success};
use crate::numbers::Numbers;
use crate::table::{Table, millis, shown};
use crate::{Error, Plan, observe};

const AGENTS: usize = 2;
/// How many tasks each agent holds.
const HELD: u32 = 500;
/// Tasks in one submission.
const SUBMITTED: usize = 50_000;
/// Logs that are read, spread over the tasks.
const READ: usize = 200;
/// Time limit until all archives are packed.
const PACKING_LIMIT: Duration = Duration::from_mins(30);
/// Time between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const MEGABYTE: f64 = 1e6;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(1_000_000, 20_000);
    let headings =
        ["program", "archives", "seconds", "database MB", "objects", "memory MB", "logs p50 ms", "p99"];
    let mut table =
        Table::new(format!("{count} outputs of `echo hi`, {READ} logs over HTTP, warm"), &headings);
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        let archive = archive_of_a_task(&mut mito).await?;
        let begun = Instant::now();
        let read = end_tasks(&mito, count, &archive).await?;
        table.row(row(&mito, kind, "in the database", begun.elapsed(), &read).await?);
        mito.configure("pack_output_after = '1s'")?;
        mito.restart_around(async |_| Ok(())).await?;
        let begun = Instant::now();
        until_packed(&mito, count as u64).await?;
        table.row(row(&mito, kind, "packed", begun.elapsed(), &read).await?);
    }
    table.print();
    Ok(())
}

/// Runs one task for real, and returns the archive of its output.
async fn archive_of_a_task(mito: &mut Mito) -> Result<Vec<u8>, Error> {
    mito.add_worker(1).await?;
    mito.run_all(&task("real", &["echo", "hi"], 0), 1).await?;
    let found = mito.user.query_tasks(&query("real")).await?.tasks;
    let tasks = found.iter().map(|task| task.uuid).collect();
    mito.stop_workers();
    let outputs = mito.user.outputs(&OutputsRequest { tasks, wait: None }).await?.outputs;
    match outputs.into_iter().next().and_then(|output| output.log) {
        Some(EndedLog::Archive { bytes }) => Ok(bytes.to_vec()),
        _ => Err("the task left no small archive".into()),
    }
}

/// Ends tasks with an archive each. Returns some of them.
async fn end_tasks(mito: &Mito, count: usize, archive: &[u8]) -> Result<Vec<Uuid>, Error> {
    let mut agents = Vec::new();
    for _ in 0..AGENTS {
        agents.push(register(mito, HELD).await?);
    }
    let (mut ended, mut read) = (0, Vec::new());
    while ended < count {
        mito.submit(&task(&format!("small {ended}"), &["true"], 0), SUBMITTED.min(count - ended)).await?;
        let each = agents.iter().map(|agent| end_all(agent, archive, count / READ));
        for (some, kept) in futures_util::future::try_join_all(each).await? {
            ended += some;
            read.extend(kept);
        }
    }
    Ok(read)
}

/// Takes tasks and ends them until there are none. Returns their number, and the UUID of one in `every`.
async fn end_all(agent: &WorkerClient, archive: &[u8], every: usize) -> Result<(usize, Vec<Uuid>), Error> {
    let (mut ended, mut kept) = (0, Vec::new());
    let mut report = ReportBatch { want: HELD, ..ReportBatch::default() };
    loop {
        let reply = agent.report_batch(&report).await?;
        ended += reply.verdicts.len();
        if reply.tasks.is_empty() {
            return Ok((ended, kept));
        }
        let uuids = reply.tasks.iter().map(|one| one.task.uuid);
        kept.extend(
            uuids
                .enumerate()
                .filter(|(place, _)| (ended + place).is_multiple_of(every))
                .map(|(_, uuid)| uuid),
        );
        report.ended = reply.tasks.iter().map(|assigned| with_archive(assigned, archive)).collect();
    }
}

fn with_archive(assigned: &AssignedTask, archive: &[u8]) -> EndedTask {
    let archives = vec![InlineArchive { kind: ArtifactKind::StdLog, bytes: archive.to_vec().into() }];
    EndedTask { archives, ..success(assigned) }
}

async fn small_archives(mito: &Mito) -> Result<SmallArchives, Error> {
    mito.user.admin_doctor().await?.small_archives.ok_or_else(|| "the doctor counts no archives".into())
}

async fn until_packed(mito: &Mito, count: u64) -> Result<(), Error> {
    let deadline = Instant::now() + PACKING_LIMIT;
    // What does not fill half an object stays in the database.
    while small_archives(mito).await?.packed + 20_000 < count {
        if Instant::now() > deadline {
            return Err(format!("{:?} after {PACKING_LIMIT:?}", small_archives(mito).await?).into());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

async fn row(
    mito: &Mito,
    kind: Kind,
    place: &str,
    time: Duration,
    tasks: &[Uuid],
) -> Result<[String; 8], Error> {
    let mut spent = Numbers::default();
    for task in tasks {
        let begun = Instant::now();
        let mut log = mito.user.logs(*task, &LogsQuery::default()).await?;
        let mut bytes = Vec::new();
        while let Some(some) = log.next().await? {
            bytes.extend_from_slice(&some);
        }
        spent.add(millis(begun.elapsed()));
        if bytes != b"hi\n" {
            return Err(format!("task {task} has other output: {bytes:?}").into());
        }
    }
    Ok([
        kind.name().to_owned(),
        place.to_owned(),
        shown(time.as_secs_f64()),
        shown(mito.database_bytes().await? / MEGABYTE),
        files_below(&mito.folder().join("objects"))?.to_string(),
        shown(observe::memory(mito.coordinator())?.0 / MEGABYTE),
        shown(spent.median()),
        shown(spent.quantile(0.99)),
    ])
}

fn files_below(folder: &Path) -> Result<u64, Error> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { files_below(&entry.path())? } else { 1 };
    }
    Ok(files)
}
