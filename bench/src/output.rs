//! The output of short commands, stored and printed by the command line, until the last line is printed.

use std::time::{Duration, Instant};

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown, spread};
use crate::{Error, Plan, ceiling, tools};

const SLOTS: usize = 4;
const COMMAND: &[&str] = &["echo", "hi"];

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(2_000, 100);
    let mut systems = Vec::new();
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.add_worker(SLOTS).await?;
        systems.push((kind, mito));
    }
    let mut variants: Vec<(String, Numbers)> = ["raw spawn loop, discarded", "xargs -P", "GNU parallel"]
        .into_iter()
        .map(str::to_owned)
        .chain(systems.iter().flat_map(|(kind, _)| {
            ["run -F", "kept", "discarded"].map(|form| format!("{}, {form}", kind.name()))
        }))
        .map(|name| (name, Numbers::default()))
        .collect();
    for round in 0..plan.rounds {
        let rate = |time: Duration| float(count as u64) / time.as_secs_f64();
        variants[0].1.add(rate(ceiling::spawn_loop(SLOTS, count, COMMAND)?));
        variants[1].1.add(rate(tools::xargs(SLOTS, count, COMMAND)?));
        if tools::installed("parallel") {
            variants[2].1.add(rate(tools::gnu_parallel(SLOTS, count, COMMAND)?));
        }
        for (place, (_, mito)) in systems.iter().enumerate() {
            let of_system = 3 + 3 * place;
            variants[of_system].1.add(rate(printed(mito, count)?));
            for (form, keeps) in [(1, true), (2, false)] {
                let mut task = task(&format!("{keeps} {round}"), COMMAND, 0);
                task.task_spec.terminal_output = keeps;
                variants[of_system + form].1.add(rate(mito.run_all(&task, count).await?));
            }
        }
    }
    print(plan, count, &variants);
    Ok(())
}

/// Runs the commands with `mito run`, until it has printed the output of all.
fn printed(mito: &Mito, count: usize) -> Result<Duration, Error> {
    let sweep = format!("i=1..{count}");
    let begun = Instant::now();
    let output = mito.client(&[&["run", "-q", "-F", &sweep, "--"], COMMAND].concat())?;
    let elapsed = begun.elapsed();
    let lines = output.lines().filter(|line| *line == "hi").count();
    match lines == count {
        true => Ok(elapsed),
        false => Err(format!("{lines} of {count} outputs were printed").into()),
    }
}

fn print(plan: &Plan, count: usize, variants: &[(String, Numbers)]) {
    let (ceiling, parallel) = (variants[0].1.median(), variants[2].1.median());
    let title = format!("{count} x echo hi, {SLOTS} at once, {} rounds", plan.rounds);
    let headings = ["program", "per second", "min", "max", "of ceiling", "x parallel"];
    let mut table = Table::new(title, &headings);
    for (name, rates) in variants.iter().filter(|(_, rates)| !rates.is_empty()) {
        let rate = rates.median();
        let [median, min, max] = spread(rates);
        table.row([name.clone(), median, min, max, shown(rate / ceiling), shown(rate / parallel)]);
    }
    table.print();
}
