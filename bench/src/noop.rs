//! Tasks that are ended without being run: the limit of the coordinator.

use std::time::Instant;

use mitosis_client::WorkerClient;
use mitosis_protocol::agent::{AssignedTask, AttemptKey, EndedTask, ReportBatch};
use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_protocol::{TaskResult, WaitStatus};

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown, spread};
use crate::{Error, Plan, observe};

/// Concurrent agents.
const AGENTS: usize = 2;
/// How many tasks each agent holds.
const HELD: u32 = 500;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(50_000, 5_000);
    let mut table = Table::new(
        format!(
            "{count} tasks without commands, {AGENTS} agents that hold {HELD} each, {} rounds",
            plan.rounds
        ),
        &["program", "per second", "min", "max", "SQL/task", "WAL B/task", "CPU us/task"],
    );
    for kind in Kind::BOTH {
        let mito = Mito::start(plan, kind).await?;
        let mut agents = Vec::new();
        for _ in 0..AGENTS {
            agents.push(register(&mito, HELD).await?);
        }
        let (mut rates, mut statements, mut wal, mut cpu) =
            (Numbers::default(), Numbers::default(), Numbers::default(), Numbers::default());
        for round in 0..plan.rounds {
            mito.submit(&task(&format!("noop {round}"), &["true"], 0), count).await?;
            let (before, used) = (mito.database_work().await?, observe::cpu_seconds(mito.coordinator())?);
            let begun = Instant::now();
            let ended = futures_util::future::try_join_all(agents.iter().map(end_all)).await?;
            let seconds = begun.elapsed().as_secs_f64();
            let ended: usize = ended.into_iter().sum();
            if ended != count {
                return Err(format!("{ended} of {count} tasks were ended").into());
            }
            let tasks = float(count as u64);
            rates.add(tasks / seconds);
            cpu.add((observe::cpu_seconds(mito.coordinator())? - used) * 1e6 / tasks);
            if let (Some(before), Some(after)) = (before, mito.database_work().await?) {
                statements.add((after.statements - before.statements) / tasks);
                wal.add((after.wal_bytes - before.wal_bytes) / tasks);
            }
        }
        let [median, min, max] = spread(&rates);
        table.row([
            kind.name().to_owned(),
            median,
            min,
            max,
            shown(statements.median()),
            shown(wal.median()),
            shown(cpu.median()),
        ]);
    }
    table.print();
    Ok(())
}

/// Registers a worker without a process.
pub(crate) async fn register(mito: &Mito, slots: u32) -> Result<WorkerClient, Error> {
    let request = RegisterWorkerRequest {
        tags: Vec::new(),
        labels: Vec::new(),
        groups: Vec::new(),
        lifetime: None,
        slots: Some(slots),
        ..RegisterWorkerRequest::default()
    };
    Ok(mito.user.register_worker(&request).await?.client)
}

/// Takes tasks and reports them as ended, until there are none; returns their number.
async fn end_all(agent: &WorkerClient) -> Result<usize, Error> {
    let mut ended = 0;
    let mut report = ReportBatch { want: HELD, ..ReportBatch::default() };
    loop {
        let reply = agent.report_batch(&report).await?;
        ended += reply.verdicts.len();
        if reply.tasks.is_empty() {
            return Ok(ended);
        }
        report.ended = reply.tasks.iter().map(success).collect();
    }
}

pub(crate) fn success(assigned: &AssignedTask) -> EndedTask {
    EndedTask {
        key: AttemptKey { id: assigned.task.id, epoch: assigned.epoch, token: assigned.token },
        cancelled: false,
        result: TaskResult { exit_status: WaitStatus::SUCCESS, msg: None },
        left_archives: false,
        data: None,
        warnings: Vec::new(),
        archives: Vec::new(),
        usage: None,
    }
}
