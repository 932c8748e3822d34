//! A worker is killed while it runs tasks; another one runs them again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::mito::{Kind, Mito, task};
use crate::numbers::Numbers;
use crate::table::{Table, spread};
use crate::{Error, Plan};

const SLOTS: usize = 4;
const LABEL: &str = "loss";
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Far longer than any lease.
const LIMIT: Duration = Duration::from_mins(5);

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let rounds = if plan.quick { 1 } else { plan.rounds };
    let mut table = Table::new(
        format!("a worker with {SLOTS} tasks is killed; seconds until all of them run again"),
        &["program", "median", "min", "max"],
    );
    for kind in Kind::BOTH {
        let mut spent = Numbers::default();
        for _ in 0..rounds {
            spent.add(recovery(plan, kind).await?.as_secs_f64());
        }
        let [median, min, max] = spread(&spent);
        table.row([kind.name().to_owned(), median, min, max]);
    }
    table.print();
    Ok(())
}

/// The time from the death of the worker until the last of its tasks has started on another one.
async fn recovery(plan: &Plan, kind: Kind) -> Result<Duration, Error> {
    let mut mito = Mito::start(plan, kind).await?;
    mito.add_worker(SLOTS).await?;
    let starts = tempfile::NamedTempFile::new()?;
    // The first attempt would take ten minutes, the second ends at once.
    let script = format!(
        "echo $MITO_TASK_UUID >> {0}; [ $(grep -c $MITO_TASK_UUID {0}) -gt 1 ] || exec sleep 600",
        starts.path().display()
    );
    mito.submit(&task(LABEL, &["sh", "-c", &script], 0), SLOTS).await?;
    until_started(starts.path(), SLOTS).await?;
    mito.add_worker(SLOTS).await?;
    let killed = Instant::now();
    mito.kill_worker()?;
    until_started(starts.path(), 2 * SLOTS).await?;
    let recovered = killed.elapsed();
    mito.wait_for(LABEL, SLOTS).await?;
    Ok(recovered)
}

async fn until_started(starts: &Path, count: usize) -> Result<(), Error> {
    let deadline = Instant::now() + LIMIT;
    while fs::read_to_string(starts)?.lines().count() < count {
        if Instant::now() > deadline {
            return Err(format!("no {count} starts within {} s", LIMIT.as_secs()).into());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
