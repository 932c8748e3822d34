//! Three coordinators with one PostgreSQL; each of them and the database are killed once while tasks run.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, shown};
use crate::{Error, Plan};

const COORDINATORS: usize = 3;
const SLOTS: usize = 4;
/// Time between two counts of the tasks that have run.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The number of counts in the window of a rate, which is one second.
const WINDOW: usize = 10;
const PERIOD: Duration = Duration::from_secs(1);
/// The share of the rate before that counts as full recovery: the machine itself varies more than the rest.
const FULL: f64 = 0.8;

/// How many tasks had run at a moment, from the marks of the tasks, without asking a coordinator.
type Samples = Vec<(Duration, u64)>;

/// Counts until it is stopped.
async fn watch(begun: Instant, marks: PathBuf, over: CancellationToken) -> Result<Samples, Error> {
    let mut samples = Vec::new();
    while !over.is_cancelled() {
        tokio::time::sleep(POLL_INTERVAL).await;
        samples.push((begun.elapsed(), fs::metadata(&marks)?.len() / MARK_BYTES));
    }
    Ok(samples)
}

/// Tasks per second in each window, with the start of the window.
fn rates(samples: &Samples) -> Vec<(Duration, f64)> {
    let of_one = |window: &[(Duration, u64)]| {
        let ((from, before), (to, after)) = (window[0], window[WINDOW]);
        (from, float(after - before) / to.saturating_sub(from).as_secs_f64())
    };
    samples.windows(WINDOW + 1).map(of_one).collect()
}

/// A UUID and the end of its line.
const MARK_BYTES: u64 = 37;

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(50_000, 4_000);
    let pause = Duration::from_millis(if plan.quick { 500 } else { 4_000 });
    let mut mito = Mito::start_many(plan, Kind::Postgres, COORDINATORS).await?;
    mito.add_worker(SLOTS).await?;
    let marks = tempfile::NamedTempFile::new()?;
    let script = format!("echo $MITO_TASK_UUID >> {}", marks.path().display());
    mito.submit(&task("failover", &["sh", "-c", &script], 0), count).await?;
    let (begun, over) = (Instant::now(), CancellationToken::new());
    let watching = mitosis_testkit::spawn(watch(begun, marks.path().to_owned(), over.clone()));
    tokio::time::sleep(pause).await;
    let mut events = Vec::new();
    for number in 0..COORDINATORS {
        events.push((format!("coordinator {} killed", number + 1), begun.elapsed()));
        mito.kill_coordinator(number)?;
        tokio::time::sleep(pause).await;
        mito.revive_coordinator(number)?;
    }
    events.push(("database killed and started".to_owned(), begun.elapsed()));
    mito.restart_database().await?;
    tokio::time::sleep(pause * 2).await;
    over.cancel();
    let samples = watching.await??;
    let left = mito.ended("failover").await.map_or(count as u64, |ended| count as u64 - ended);
    mito.wait_for("failover", count).await?;
    print(&samples, &events, left);
    print_attempts(&fs::read_to_string(marks.path())?, count);
    Ok(())
}

fn print(samples: &Samples, events: &[(String, Duration)], left: u64) {
    let rates = rates(samples);
    let first = events.first().map_or(Duration::ZERO, |(_, at)| *at);
    let before: Numbers =
        rates.iter().filter(|(from, _)| *from + PERIOD < first).map(|(_, rate)| *rate).collect();
    let normal = before.median();
    let mut table = Table::new(
        format!("{COORDINATORS} coordinators, {left} tasks were left at the end of the watch"),
        &["what happened", "at s", "before/s", "min/s", "full rate after s"],
    );
    for (place, (what, at)) in events.iter().enumerate() {
        let next = events.get(place + 1).map_or(Duration::MAX, |(_, next)| *next);
        // A window that overlaps the next event is ignored.
        let since: Vec<_> =
            rates.iter().filter(|(from, _)| from >= at && from.saturating_add(PERIOD) < next).collect();
        let least = since.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let again = least.and_then(|(slowest, _)| {
            since.iter().find(|(from, rate)| from >= slowest && *rate >= normal * FULL)
        });
        table.row([
            what.clone(),
            shown(at.as_secs_f64()),
            shown(normal),
            shown(least.map_or(f64::NAN, |(_, rate)| *rate)),
            again.map_or_else(
                || "not seen".to_owned(),
                |(from, _)| shown(from.saturating_sub(*at).as_secs_f64()),
            ),
        ]);
    }
    table.print();
    let each: Vec<String> = rates.iter().step_by(WINDOW).map(|(_, rate)| shown(*rate)).collect();
    println!("  tasks in each second: {}\n", each.join(" "));
}

fn print_attempts(marks: &str, count: usize) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for mark in marks.lines() {
        *times.entry(mark).or_default() += 1;
    }
    let again = times.values().filter(|times| **times > 1).count();
    println!("  of {count} tasks {} ran, {again} of them more than once\n", times.len());
}
