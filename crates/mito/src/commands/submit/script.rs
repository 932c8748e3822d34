//! Scripts of `mito submit`, and the options in their lines `#MITO`.

use std::ffi::OsString;
use std::path::Path;

use mitosis_sweep::Script;

use crate::cli::submit::{SubmitArgs, check_directive, with_directives};
use crate::process::failure::Failure;

/// Reads a script, and parses the command line again with its options.
pub(super) fn read(file: &Path, words: &[OsString]) -> Result<(SubmitArgs, Script), Failure> {
    let script = Script::read(file)?;
    let directives = script.directives()?;
    for directive in &directives {
        check_directive(&directive.words).map_err(|error| {
            let line = format!("line {} of {}", directive.line, script.name());
            Failure::usage(&error, Some("it takes the options of `mito submit` for a task and its job"))
                .about(&line)
        })?;
    }
    if let Some(line) = script.late_directive() {
        note!("mito: line {line} of {} has no effect: `#MITO` comes after the first command", script.name());
    }
    let options: Vec<String> = directives.into_iter().flat_map(|directive| directive.words).collect();
    let args = with_directives(words, &options).map_err(|error| Failure::usage(&error, None))?;
    Ok((args, script))
}
