//! The cost of a long queue: how fast it drains, and how soon an urgent task runs.

use std::path::Path;
use std::time::{Duration, Instant};

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::Timestamp;

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, millis, shown};
use crate::{Error, Plan};

const SLOTS: usize = 4;
/// Time between two checks; no result depends on it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Tasks in one submission.
const BATCH: usize = 50_000;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let (short, long) = (1_000, plan.size(1_000_000, 20_000));
    let span = Duration::from_secs(if plan.quick { 1 } else { 5 });
    let mut table = Table::new(
        format!("drain rate with {short} and {long} waiting, and milliseconds until an urgent task starts"),
        &["program", "at short", "at long", "ratio", "min", "max", "urgent p50", "p99", "max"],
    );
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.add_worker(SLOTS).await?;
        let mut at_short = Numbers::default();
        for round in 0..plan.rounds.max(3) {
            let time = mito.run_all(&task(&format!("short {round}"), &["true"], 0), short).await?;
            at_short.add(float(short as u64) / time.as_secs_f64());
        }
        for _ in 0..long.div_ceil(BATCH) {
            mito.submit(&task("long", &["true"], -1), BATCH.min(long)).await?;
        }
        let mut at_long = Numbers::default();
        for _ in 0..plan.rounds {
            at_long.add(rate(&mito, span).await?);
        }
        let mut urgent = Numbers::default();
        let clock = tempfile::NamedTempFile::new()?;
        for _ in 0..plan.size(200, 20) {
            urgent.add(millis(start_one(&mito, clock.path()).await?));
        }
        table.row([
            kind.name().to_owned(),
            shown(at_short.median()),
            shown(at_long.median()),
            shown(at_long.median() / at_short.median()),
            shown(at_long.min()),
            shown(at_long.max()),
            shown(urgent.median()),
            shown(urgent.quantile(0.99)),
            shown(urgent.max()),
        ]);
    }
    table.print();
    Ok(())
}

/// The time from the submission of an urgent task until its command writes the time.
async fn start_one(mito: &Mito, clock: &Path) -> Result<Duration, Error> {
    std::fs::write(clock, "")?;
    let begun = SystemClock.now();
    let script = format!("date +%s%N > {}", clock.display());
    mito.user.submit(&task("urgent", &["sh", "-c", &script], 100)).await?;
    loop {
        // Asking the coordinator would cost more than the task.
        if let Some(nanos) = std::fs::read_to_string(clock)?.strip_suffix('\n') {
            let nanos: i64 = nanos.parse()?;
            return Ok(Timestamp::from_unix_micros(nanos / 1_000).since(begun));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// How many tasks of the long queue end in a second.
async fn rate(mito: &Mito, span: Duration) -> Result<f64, Error> {
    let (begun, before) = (Instant::now(), mito.ended("long").await?);
    let before = (before, begun.elapsed() / 2);
    tokio::time::sleep(span).await;
    let asked = begun.elapsed();
    let after = mito.ended("long").await?;
    // Each count is valid for about the middle of the time that it took.
    let at = asked + (begun.elapsed().saturating_sub(asked)) / 2;
    Ok(float(after - before.0) / at.saturating_sub(before.1).as_secs_f64())
}
