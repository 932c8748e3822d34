//! 100,000 tasks in one call: the time, and the memory of the coordinator.

use std::time::Instant;

use crate::mito::{Kind, Mito, task};
use crate::numbers::Numbers;
use crate::table::{Table, shown, spread};
use crate::{Error, Plan, observe};

const MEGABYTE: f64 = 1e6;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(100_000, 5_000);
    let headings = ["program", "seconds", "min", "max", "first growth MB", "later growth MB", "CPU s"];
    let mut table = Table::new(format!("submit {count} in one call, {} rounds", plan.rounds), &headings);
    for kind in Kind::BOTH {
        let mito = Mito::start(plan, kind).await?;
        let pid = mito.coordinator();
        let (mut seconds, mut growth, mut cpu) = (Numbers::default(), Vec::new(), Numbers::default());
        for round in 0..plan.rounds {
            let (before, _) = observe::memory(pid)?;
            observe::forget_most_memory(pid)?;
            let (used, begun) = (observe::cpu_seconds(pid)?, Instant::now());
            mito.submit(&task(&format!("submit {round}"), &["true"], 0), count).await?;
            seconds.add(begun.elapsed().as_secs_f64());
            cpu.add(observe::cpu_seconds(pid)? - used);
            growth.push((observe::memory(pid)?.1 - before) / MEGABYTE);
        }
        let later: Numbers = growth.iter().skip(1).copied().collect();
        let [median, min, max] = spread(&seconds);
        table.row([
            kind.name().to_owned(),
            median,
            min,
            max,
            shown(growth[0]),
            shown(later.max()),
            shown(cpu.median()),
        ]);
    }
    table.print();
    Ok(())
}
