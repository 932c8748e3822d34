//! `mito client tasks query`.

use crate::cli::client::tasks::QueryArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::{Output, TaskShown};

pub(super) async fn query(args: &QueryArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let query = args.query();
    let found = identity.client.query_tasks(&query).await?;
    if query.count {
        return out.count(found.count, "task");
    }
    out.found(found.count, "task")?;
    let tasks: Vec<_> = found.tasks.into_iter().map(TaskShown::from).collect();
    match args.verbose {
        true => out.each(&tasks),
        false => out.all(&tasks),
    }
}
