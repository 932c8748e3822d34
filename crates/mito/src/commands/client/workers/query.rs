//! `mito client workers query`.

use crate::cli::client::workers::QueryArgs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, WorkerShown};

pub(super) async fn query(args: &QueryArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let query = args.query();
    let found = identity.client.query_workers(&query).await?;
    if query.count {
        return out.count(found.count, "worker");
    }
    out.found(found.count, "worker")?;
    let shown = |worker| WorkerShown::of_group(worker, &found.group_name);
    let workers: Vec<_> = found.workers.into_iter().map(shown).collect();
    match args.verbose {
        true => out.each(&workers),
        false => out.all(&workers),
    }
}
