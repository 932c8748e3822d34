//! Thousands of short commands on four slots, and the cost of each.

use std::time::Duration;

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown, spread};
use crate::{Error, Plan, ceiling, observe, tools};

const SLOTS: usize = 4;
const TEN_KB: &[&str] = &["head", "-c", "10240", "/dev/zero"];

/// A kind of command.
struct Work {
    name: &'static str,
    command: &'static [&'static str],
    count: usize,
    /// Whether mito stores the output, as an archive for each task. The other programs discard it.
    keeps: bool,
}

/// The cost of one variant.
#[derive(Debug, Default)]
struct Cost {
    per_second: Numbers,
    statements: Numbers,
    wal_bytes: Numbers,
    cpu_micros: Numbers,
}

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let mut systems = Vec::new();
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.add_worker(SLOTS).await?;
        systems.push((kind, mito));
    }
    let works = [
        Work { name: "true", command: &["true"], count: plan.size(5_000, 200), keeps: false },
        Work { name: "sleep 0.01", command: &["sleep", "0.01"], count: plan.size(1_500, 100), keeps: false },
        Work { name: "10 KB of output", command: TEN_KB, count: plan.size(3_000, 100), keeps: false },
        Work { name: "10 KB of output, kept", command: TEN_KB, count: plan.size(3_000, 100), keeps: true },
    ];
    for work in works {
        measure_one(plan, &work, &systems).await?;
    }
    Ok(())
}

async fn measure_one(plan: &Plan, work: &Work, systems: &[(Kind, Mito)]) -> Result<(), Error> {
    let Work { name, command, count, keeps } = *work;
    let mut variants: Vec<(&str, Cost)> = ["raw spawn loop", "xargs -P", "GNU parallel"]
        .into_iter()
        .chain(systems.iter().map(|(kind, _)| kind.name()))
        .map(|name| (name, Cost::default()))
        .collect();
    for round in 0..plan.rounds {
        let rate = |time: Duration| float(count as u64) / time.as_secs_f64();
        variants[0].1.per_second.add(rate(ceiling::spawn_loop(SLOTS, count, command)?));
        variants[1].1.per_second.add(rate(tools::xargs(SLOTS, count, command)?));
        if tools::installed("parallel") {
            variants[2].1.per_second.add(rate(tools::gnu_parallel(SLOTS, count, command)?));
        }
        for ((_, mito), (_, cost)) in systems.iter().zip(&mut variants[3..]) {
            let mut task = task(&format!("{name} {round}"), command, 0);
            task.task_spec.terminal_output = keeps;
            let (work, cpu) = (mito.database_work().await?, observe::cpu_seconds(mito.coordinator())?);
            cost.per_second.add(rate(mito.run_all(&task, count).await?));
            let per_task = float(count as u64);
            let used = observe::cpu_seconds(mito.coordinator())? - cpu;
            cost.cpu_micros.add(used * 1e6 / per_task);
            if let (Some(before), Some(after)) = (work, mito.database_work().await?) {
                cost.statements.add((after.statements - before.statements) / per_task);
                cost.wal_bytes.add((after.wal_bytes - before.wal_bytes) / per_task);
            }
        }
    }
    print(plan, work, &variants);
    Ok(())
}

fn print(plan: &Plan, work: &Work, variants: &[(&str, Cost)]) {
    let ceiling = variants[0].1.per_second.median();
    let parallel = variants[2].1.per_second.median();
    let title = format!("{} x {}, {SLOTS} at once, {} rounds", work.count, work.name, plan.rounds);
    let headings = [
        "program",
        "per second",
        "min",
        "max",
        "of ceiling",
        "x parallel",
        "SQL/task",
        "WAL B/task",
        "CPU us/task",
    ];
    let mut table = Table::new(title, &headings);
    for (name, cost) in variants.iter().filter(|(_, cost)| !cost.per_second.is_empty()) {
        let rate = cost.per_second.median();
        let [median, min, max] = spread(&cost.per_second);
        table.row([
            (*name).to_owned(),
            median,
            min,
            max,
            shown(rate / ceiling),
            shown(rate / parallel),
            shown(cost.statements.median()),
            shown(cost.wal_bytes.median()),
            shown(cost.cpu_micros.median()),
        ]);
    }
    table.print();
}
