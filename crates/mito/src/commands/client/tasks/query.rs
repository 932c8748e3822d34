//! `mito client tasks query`.

use crate::cli::client::tasks::QueryArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn query(args: &QueryArgs, identity: &Identity) -> Result<(), Failure> {
    let found = identity.client.query_tasks(&args.query()).await?;
    show::line(format_args!("Found {} tasks", found.count))?;
    for task in &found.tasks {
        match args.verbose {
            true => show::line(format_args!("{}\n", show::task(task)))?,
            false => show::line(task.uuid)?,
        }
    }
    Ok(())
}
