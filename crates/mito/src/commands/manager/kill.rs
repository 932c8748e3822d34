//! `mito manager kill`: stops workers and waits for their ends.

use crate::cli::manager::KillArgs;
use crate::manager::call;
use crate::manager::place::Place;
use crate::manager::wire::{Reply, Request};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

pub(super) async fn run(args: &KillArgs, place: &Place) -> Result<(), Failure> {
    let (ended, unknown) = match call::ask(place, &Request::Kill { numbers: args.numbers.clone() }).await? {
        Some(Reply::Stopped { ended, unknown }) => (ended, unknown),
        _ => (0, args.numbers.clone()),
    };
    match ended {
        // Of numbers that nobody has, nothing else is to be said.
        0 if unknown.len() == args.numbers.len() && !unknown.is_empty() => {}
        0 => show::line("no workers were running")?,
        1 => show::line("stopped 1 worker")?,
        _ => show::line(format_args!("stopped {ended} workers"))?,
    }
    nobody_has(&unknown)
}

/// Fails if there are such numbers.
pub(super) fn nobody_has(unknown: &[u32]) -> Result<(), Failure> {
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Failure,
            format!("there is no worker with number {}", show::words(unknown)),
        )
        .with_hint("`mito manager status` shows the numbers")),
    }
}
