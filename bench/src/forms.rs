//! How commands are written, and how their end is awaited: neither may cost much.

use std::time::{Duration, Instant};

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown, spread};
use crate::{Error, Plan};

const SLOTS: usize = 4;
/// The forms of a command; the first one is the baseline. `env true` starts one program more.
const FORMS: [(&str, &[&str]); 5] = [
    ("true", &["true"]),
    ("/bin/true", &["/bin/true"]),
    ("./true", &["./true"]),
    ("A=b true", &["A=b", "true"]),
    ("env true", &["env", "true"]),
];

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(5_000, 200);
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        std::os::unix::fs::symlink("/bin/true", mito.folder().join("true"))?;
        mito.add_worker(SLOTS).await?;
        let variants = FORMS.map(|(name, _)| name.to_owned()).into_iter();
        let mut variants: Vec<(String, Numbers)> = variants
            .chain(["true, submitted and awaited by the command line".to_owned()])
            .map(|name| (name, Numbers::default()))
            .collect();
        for round in 0..plan.rounds {
            let rate = |time: Duration| float(count as u64) / time.as_secs_f64();
            for ((name, command), (_, rates)) in FORMS.iter().zip(&mut variants) {
                let mut task = task(&format!("{name} {round}"), command, 0);
                task.task_spec.terminal_output = false;
                rates.add(rate(mito.run_all(&task, count).await?));
            }
            let awaited = awaited(&mito, count, &format!("awaited{round}"))?;
            variants[FORMS.len()].1.add(rate(awaited));
        }
        print(plan, count, kind, &variants);
    }
    Ok(())
}

/// Submits and waits with the command line.
fn awaited(mito: &Mito, count: usize, label: &str) -> Result<Duration, Error> {
    let sweep = format!("i=1..{count}");
    let begun = Instant::now();
    mito.client(&["submit", "-q", "--no-output", "-l", label, "-F", &sweep, "--", "true"])?;
    mito.client(&["wait", "-q", "last"])?;
    Ok(begun.elapsed())
}

fn print(plan: &Plan, count: usize, kind: Kind, variants: &[(String, Numbers)]) {
    let plain = variants[0].1.median();
    let title = format!("{count} commands, {SLOTS} at once, {}, {} rounds", kind.name(), plan.rounds);
    let mut table = Table::new(title, &["written as", "per second", "min", "max", "of the first"]);
    for (name, rates) in variants {
        let [median, min, max] = spread(rates);
        table.row([name.clone(), median, min, max, shown(rates.median() / plain)]);
    }
    table.print();
}
