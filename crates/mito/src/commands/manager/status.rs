//! `mito manager status`: the status of all workers.

use mitosis_supervisor::{Reply, Request, StateDir, ask};

use crate::cli::manager::StatusArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{self, Output};

pub(super) async fn run(args: &StatusArgs, dir: &StateDir, environment: &Environment) -> Result<(), Failure> {
    let workers = match ask(dir, &Request::Status).await? {
        Some(Reply::Workers(workers)) => workers,
        _ => Vec::new(),
    };
    let out = Output::new(&args.output, environment);
    if workers.is_empty() {
        out.say("no workers on this machine; `mito manager spawn 2` starts two");
    }
    match args.output.format {
        None => show::managed_workers(&workers),
        Some(_) => out.all(&workers),
    }
}
