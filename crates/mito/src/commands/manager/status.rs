//! `mito manager status`: how everybody is.

use crate::cli::manager::StatusArgs;
use crate::config::Environment;
use crate::manager::call;
use crate::manager::place::Place;
use crate::manager::wire::{Reply, Request};
use crate::process::failure::Failure;
use crate::show::{self, Output};

pub(super) async fn run(args: &StatusArgs, place: &Place, environment: &Environment) -> Result<(), Failure> {
    let workers = match call::ask(place, &Request::Status).await? {
        Some(Reply::Workers(workers)) => workers,
        _ => Vec::new(),
    };
    let out = Output::new(&args.output, environment);
    if workers.is_empty() {
        out.say("no workers are kept on this machine; `mito manager spawn 2` starts two");
    }
    match args.output.format {
        None => show::managed(&workers),
        Some(_) => out.all(&workers),
    }
}
