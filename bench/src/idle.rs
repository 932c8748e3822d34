//! What a coordinator does while nobody wants anything.

use std::time::{Duration, Instant};

use crate::mito::{Kind, Mito};
use crate::table::{Table, shown};
use crate::{Error, Plan, observe};

/// What follows a start or an end is over by then.
const SETTLING: Duration = Duration::from_secs(10);

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let span = Duration::from_secs(if plan.quick { 5 } else { 60 });
    let mut table = Table::new(
        format!("a coordinator with nothing to do, for {} s", span.as_secs()),
        &["way", "workers", "CPU %", "memory MB", "SQL/s"],
    );
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        for workers in 0..=1 {
            if workers == 1 {
                mito.add_worker(4).await?;
            }
            tokio::time::sleep(SETTLING).await;
            let pid = mito.coordinator();
            let (used, work, begun) =
                (observe::cpu_seconds(pid)?, mito.database_work().await?, Instant::now());
            tokio::time::sleep(span).await;
            let seconds = begun.elapsed().as_secs_f64();
            let statements = match (work, mito.database_work().await?) {
                (Some(before), Some(after)) => (after.statements - before.statements) / seconds,
                _ => f64::NAN,
            };
            table.row([
                kind.name().to_owned(),
                workers.to_string(),
                shown((observe::cpu_seconds(pid)? - used) / seconds * 100.0),
                shown(observe::memory(pid)?.0 / 1e6),
                shown(statements),
            ]);
        }
    }
    table.print();
    Ok(())
}
