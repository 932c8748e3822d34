//! Job files with many steps: tasks that need each other one by one, and a graph of ten thousand steps. Everything goes through
//! the command line.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::mito::{Kind, Mito};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown, spread};
use crate::{Error, Plan};

const SLOTS: usize = 4;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let folder = tempfile::TempDir::new()?;
    let mut systems = Vec::new();
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.add_worker(SLOTS).await?;
        systems.push((kind, mito));
    }
    measure_chain(plan, folder.path(), &systems).await?;
    measure_diamond(plan, folder.path(), &systems)
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Each,
}

/// The rate of steps whose tasks need those of the step before, and of the same steps without needs.
async fn measure_chain(plan: &Plan, folder: &Path, systems: &[(Kind, Mito)]) -> Result<(), Error> {
    let (steps, size) = (plan.size(100, 5), plan.size(1_000, 20));
    let title = format!("{steps} steps of {size} tasks, {SLOTS} at once, {} rounds", plan.rounds);
    let headings = ["program", "per second", "min", "max", "of free", "SQL/task", "free SQL/task"];
    let mut table = Table::new(title, &headings);
    for (kind, mito) in systems {
        let (mut rates, mut statements) =
            ([Numbers::default(), Numbers::default()], [Numbers::default(), Numbers::default()]);
        for round in 0..plan.rounds {
            for (place, needs) in [Needs::Nothing, Needs::Each].into_iter().enumerate() {
                let file = folder.join("chain.toml");
                let last = write_chain(&file, (steps, size), needs, round)?;
                let (before, begun) = (mito.database_work().await?, Instant::now());
                mito.client(&["submit", &file.display().to_string()])?;
                mito.client(
                    &[&["wait", "-q"][..], &last.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
                )?;
                let tasks = float((steps * size) as u64);
                rates[place].add(tasks / begun.elapsed().as_secs_f64());
                if let (Some(before), Some(after)) = (before, mito.database_work().await?) {
                    statements[place].add((after.statements - before.statements) / tasks);
                }
            }
        }
        let [median, min, max] = spread(&rates[1]);
        table.row([
            kind.name().to_owned(),
            median,
            min,
            max,
            shown(rates[1].median() / rates[0].median()),
            shown(statements[1].median()),
            shown(statements[0].median()),
        ]);
    }
    table.print();
    Ok(())
}

/// Writes a job file; returns the names of its steps.
fn write_chain(
    file: &Path,
    (steps, size): (usize, usize),
    needs: Needs,
    round: usize,
) -> Result<Vec<String>, Error> {
    let name = |step: usize| format!("{needs:?}-{round}-{step}").to_lowercase();
    let mut text = String::new();
    for step in 0..steps {
        let needs = match (needs, step.checked_sub(1)) {
            (Needs::Each, Some(before)) => {
                format!("needs = [{{ job = \"{}\", when = \"each\" }}]\n", name(before))
            }
            _ => String::new(),
        };
        write!(
            text,
            "[[tasks]]\nname = \"{}\"\ncommand = \"true\"\noutput = false\nmatrix = {{ x = \"1..{size}\" }}\n{needs}",
            name(step)
        )?;
    }
    std::fs::write(file, text)?;
    Ok((0..steps).map(name).collect())
}

/// One step, many that need it, and one that needs all of these.
fn measure_diamond(plan: &Plan, folder: &Path, systems: &[(Kind, Mito)]) -> Result<(), Error> {
    let steps = plan.size(10_000, 100);
    let headings = ["program", "submitted s", "min", "max", "all ended s"];
    let mut table = Table::new(format!("diamond of {steps} steps, {} rounds", plan.rounds), &headings);
    for (kind, mito) in systems {
        let (mut submitted, mut ended) = (Numbers::default(), Numbers::default());
        for round in 0..plan.rounds {
            let file = folder.join("diamond.toml");
            let last = write_diamond(&file, steps, round)?;
            let begun = Instant::now();
            mito.client(&["submit", "-q", &file.display().to_string()])?;
            submitted.add(begun.elapsed().as_secs_f64());
            mito.client(&["wait", "-q", &last])?;
            ended.add(begun.elapsed().as_secs_f64());
        }
        let [median, min, max] = spread(&submitted);
        table.row([kind.name().to_owned(), median, min, max, shown(ended.median())]);
    }
    table.print();
    Ok(())
}

/// Writes a job file; returns the name of the last step.
fn write_diamond(file: &Path, steps: usize, round: usize) -> Result<String, Error> {
    let task = |name: &str, needs: &str| {
        format!("[[tasks]]\nname = \"{name}\"\ncommand = \"true\"\noutput = false\nneeds = [{needs}]\n")
    };
    let (first, last) = (format!("first-{round}"), format!("last-{round}"));
    let name = |step: usize| format!("middle-{round}-{step}");
    let mut text = task(&first, "");
    for step in 2..steps {
        text.push_str(&task(&name(step), &format!("\"{first}\"")));
    }
    let middle: Vec<String> = (2..steps).map(|step| format!("\"{}\"", name(step))).collect();
    text.push_str(&task(&last, &middle.join(", ")));
    std::fs::write(file, text)?;
    Ok(last)
}
