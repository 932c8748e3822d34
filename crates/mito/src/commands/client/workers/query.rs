//! `mito client workers query`.

use crate::cli::client::workers::QueryArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn query(args: &QueryArgs, identity: &Identity) -> Result<(), Failure> {
    let found = identity.client.query_workers(&args.query()).await?;
    show::line(format_args!("Found {} workers", found.count))?;
    for worker in &found.workers {
        match args.verbose {
            true => show::line(format_args!("{}\ngroup       {}\n", show::worker(worker), found.group_name))?,
            false => show::line(worker.worker_id)?,
        }
    }
    Ok(())
}
