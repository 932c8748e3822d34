//! The source of commands in the interactive mode: a terminal, or a file.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mitosis_client::UserClient;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};

use super::completion::Completion;
use crate::config::Environment;
use crate::process::failure::Failure;

const PROMPT: &str = "[mito::client]> ";
const CONTINUATION: &str = "::: ";
/// The largest number of lines in the history.
const HISTORY_SIZE: usize = 1000;

pub(super) enum Lines {
    Terminal { editor: Box<Editor<Completion, DefaultHistory>>, history: PathBuf },
    Piped,
}

impl Lines {
    pub(super) fn open(environment: &Environment, completion: Completion) -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Piped);
        }
        let history = environment.cache_folder().join("client-history");
        let editor = editor(&history, completion).map_err(cant_read)?;
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// Sets the user for the completion of names.
    pub(super) fn set_user(&mut self, user: UserClient, name: String) {
        if let Self::Terminal { editor, .. } = self
            && let Some(completion) = editor.helper_mut()
        {
            completion.set_user(user, name);
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// Reads the next line; none at the end. A backslash at the end of a line continues it. A line that Ctrl-C
    /// cancelled or that is incomplete at the end of a terminal session is never run.
    pub(super) fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let mut prompt = PROMPT;
        loop {
            match self.read(prompt)? {
                Read::Line(more) => line.push_str(&more),
                Read::Interrupted => return Ok(Some(String::new())),
                Read::End => return Ok((!line.is_empty() && !self.is_terminal()).then_some(line)),
            }
            if !continues(&line) {
                return Ok(Some(line));
            }
            line.pop();
            prompt = CONTINUATION;
        }
    }

    fn read(&mut self, prompt: &str) -> Result<Read, Failure> {
        match self {
            Self::Terminal { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Read::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Read::Interrupted),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(error) => Err(cant_read(error)),
            },
            Self::Piped => match io::stdin().lines().next() {
                Some(line) => line.map(Read::Line).map_err(cant_read),
                None => Ok(Read::End),
            },
        }
    }

    /// Adds a line to the history. Errors are ignored.
    pub(super) fn add_to_history(&mut self, line: &str) {
        let Self::Terminal { editor, history } = self else { return };
        let kept = editor.add_history_entry(line).and_then(|_| editor.append_history(history));
        if let Err(error) = kept {
            tracing::debug!(%error, "cannot write the history to {}", history.display());
        }
    }

    /// The exit code: 0 at a terminal, where failures were visible.
    pub(super) fn code(&self, first_failure: Option<ExitCode>) -> ExitCode {
        match self {
            Self::Terminal { .. } => ExitCode::SUCCESS,
            Self::Piped => first_failure.unwrap_or(ExitCode::SUCCESS),
        }
    }
}

/// The outcome of reading a line.
enum Read {
    Line(String),
    /// The line was cancelled with Ctrl-C.
    Interrupted,
    End,
}

fn editor(history: &Path, completion: Completion) -> rustyline::Result<Editor<Completion, DefaultHistory>> {
    let config = Config::builder()
        .max_history_size(HISTORY_SIZE)?
        .history_ignore_dups(true)?
        // As a shell does: what is common to all, then all of them.
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(completion));
    if let Some(folder) = history.parent() {
        fs::create_dir_all(folder)?;
    }
    match editor.load_history(history) {
        Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        loaded => loaded?,
    }
    Ok(editor)
}

fn cant_read(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::io("cannot read commands", io::Error::other(error))
}

/// Whether a line ends with a backslash that is not escaped.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_backslash_continues_the_line() {
        assert!(continues("tasks \\") && continues("\\\\\\"));
        assert!(!continues("tasks") && !continues("tasks \\\\") && !continues(""));
    }
}
