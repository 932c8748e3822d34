//! `mito man`: writes manual pages.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::process::failure::Failure;
use crate::show;

/// Writes the pages to a directory, which is created if necessary.
pub(super) fn man(out: &Path) -> Result<ExitCode, Failure> {
    let cant = |error| Failure::io(format!("cannot write manual pages to {}", out.display()), error);
    std::fs::create_dir_all(out).map_err(cant)?;
    clap_mangen::generate_to(Cli::command(), out).map_err(cant)?;
    show::line(format_args!(
        "wrote the pages to {}; `man {}/mito.1` shows the first",
        out.display(),
        out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
