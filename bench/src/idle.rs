//! The load of a coordinator without requests.

use std::time::Duration;

use crate::mito::{Kind, Mito};
use crate::table::{Table, shown};
use crate::{Error, Plan, observe};

/// Time after which the work of a start or an end has finished.
const SETTLING: Duration = Duration::from_secs(10);

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let span = Duration::from_secs(if plan.quick { 5 } else { 60 });
    let mut table = Table::new(
        format!("a coordinator with nothing to do, for {} s", span.as_secs()),
        &["program", "workers", "CPU %", "memory MB", "SQL/s"],
    );
    for kind in Kind::BOTH {
        let mut mito = Mito::start(plan, kind).await?;
        for workers in 0..=1 {
            if workers == 1 {
                mito.add_worker(4).await?;
            }
            tokio::time::sleep(SETTLING).await;
            let load = mito.load_over(span).await?;
            table.row([
                kind.name().to_owned(),
                workers.to_string(),
                shown(load.cpu_percent),
                shown(observe::memory(mito.coordinator())?.0 / 1e6),
                shown(load.statements_per_second),
            ]);
        }
    }
    table.print();
    Ok(())
}
