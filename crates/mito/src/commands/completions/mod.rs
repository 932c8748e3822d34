//! `mito completions`, and the hidden command for its scripts.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Shell};
use crate::complete::{lookup, request};
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show;

/// Prints the completion script for a shell.
pub(super) fn script(shell: Shell) -> Result<ExitCode, Failure> {
    let script = match shell {
        Shell::Bash => include_str!("mito.bash"),
        Shell::Zsh => include_str!("mito.zsh"),
        Shell::Fish => include_str!("mito.fish"),
    };
    show::line(script.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the candidates for the last word, one per line: the word, a tab, and its description.
pub(super) async fn complete(words: &[String], environment: &Environment) -> Result<ExitCode, Failure> {
    let mut root = Cli::command();
    root.build();
    for candidate in lookup::with_names(request(&root, words), environment).await {
        show::line(format_args!("{}\t{}", candidate.word, candidate.about))?;
    }
    Ok(ExitCode::SUCCESS)
}
