//! `mito manager kill`: stops workers, and waits for their end.

use mitosis_supervisor::{Reply, Request, StateDir, ask};

use crate::cli::manager::KillArgs;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

pub(super) async fn run(args: &KillArgs, dir: &StateDir) -> Result<(), Failure> {
    let (ended, unknown) = match ask(dir, &Request::Kill { numbers: args.numbers.clone() }).await? {
        Some(Reply::Stopped { ended, unknown }) => (ended, unknown),
        _ => (0, args.numbers.clone()),
    };
    match ended {
        // Unknown numbers are reported below.
        0 if unknown.len() == args.numbers.len() && !unknown.is_empty() => {}
        0 => show::line("no workers were running")?,
        1 => show::line("stopped 1 worker")?,
        _ => show::line(format_args!("stopped {ended} workers"))?,
    }
    refuse_unknown(&unknown)
}

/// Fails if there are unknown numbers.
pub(super) fn refuse_unknown(unknown: &[u32]) -> Result<(), Failure> {
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, format!("no worker with number {}", show::words(unknown)))
            .with_hint("`mito manager status` shows the numbers")),
    }
}
