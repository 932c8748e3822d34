//! The time of one task, from its submission until its end is known, on an idle system.

use std::time::{Duration, Instant};

use mitosis_protocol::TaskState;

use crate::mito::{Kind, Mito, task};
use crate::numbers::Numbers;
use crate::table::{Table, millis, shown};
use crate::{Error, Plan};

/// Time between two checks, which limits the precision.
const POLL_INTERVAL: Duration = Duration::from_micros(500);

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = plan.size(300, 20);
    let mut table = Table::new(
        format!("{count} single tasks, each when nothing else runs: milliseconds"),
        &["program", "p50", "p90", "p99", "max"],
    );
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        mito.add_worker(1).await?;
        let mut times = Numbers::default();
        for _ in 0..count {
            times.add(millis(run_one(&mito, "latency", 0).await?));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        table.row([
            kind.name().to_owned(),
            shown(times.median()),
            shown(times.quantile(0.9)),
            shown(times.quantile(0.99)),
            shown(times.max()),
        ]);
    }
    table.print();
    Ok(())
}

/// Submits one task and waits for its end.
pub(crate) async fn run_one(mito: &Mito, label: &str, priority: i32) -> Result<Duration, Error> {
    let begun = Instant::now();
    let ids = mito.user.submit(&task(label, &["true"], priority)).await?;
    loop {
        let info = mito.user.task(ids.uuid).await?.info;
        if info.result.is_some() || info.state == TaskState::Cancelled {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
