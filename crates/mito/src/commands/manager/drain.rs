//! `mito manager drain`: workers finish their tasks, take no new ones, and exit.

use mitosis_supervisor::{Reply, Request, StateDir, ask};

use super::kill::refuse_unknown;
use crate::cli::manager::DrainArgs;
use crate::process::failure::Failure;
use crate::show;

pub(super) async fn run(args: &DrainArgs, dir: &StateDir) -> Result<(), Failure> {
    let numbers = args.numbers();
    let request = Request::Drain { numbers: numbers.clone(), wait: args.wait };
    let (asked, unknown) = match ask(dir, &request).await? {
        Some(Reply::Draining { asked, unknown }) => (asked, unknown),
        _ => (0, numbers),
    };
    let verb = if args.wait { "drained" } else { "draining" };
    match asked {
        // Unknown numbers are reported below.
        0 if !unknown.is_empty() => {}
        0 => show::line("no workers were running")?,
        1 => show::line(format_args!("{verb} 1 worker"))?,
        _ => show::line(format_args!("{verb} {asked} workers"))?,
    }
    refuse_unknown(&unknown)
}
