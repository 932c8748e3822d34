//! Where the commands of the interactive mode come from: a terminal, or a file of lines.

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
/// How many lines the history keeps.
const REMEMBERED: usize = 1000;

pub(super) enum Lines {
    Typed { editor: Box<Editor<Completion, DefaultHistory>>, history: PathBuf },
    Given,
}

impl Lines {
    pub(super) fn open(environment: &Environment, completion: Completion) -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Given);
        }
        let history = environment.cache_folder().join("client-history");
        let editor = editor(&history, completion).map_err(cant_read)?;
        Ok(Self::Typed { editor: Box::new(editor), history })
    }

    /// Names are asked for as this user from now on.
    pub(super) fn speak_as(&mut self, user: UserClient, name: String) {
        if let Self::Typed { editor, .. } = self
            && let Some(completion) = editor.helper_mut()
        {
            completion.speak_as(user, name);
        }
    }

    pub(super) fn are_typed(&self) -> bool {
        matches!(self, Self::Typed { .. })
    }

    /// The next line; none at the end. A line that ends with a backslash goes on on the next. What was
    /// given up with Ctrl-C, or left unfinished at a keyboard, is never obeyed: it is an empty line, or none.
    pub(super) fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let mut prompt = PROMPT;
        loop {
            match self.read(prompt)? {
                Read::Line(more) => line.push_str(&more),
                Read::GivenUp => return Ok(Some(String::new())),
                Read::End => return Ok((!line.is_empty() && !self.are_typed()).then_some(line)),
            }
            if !goes_on(&line) {
                return Ok(Some(line));
            }
            line.pop();
            prompt = CONTINUATION;
        }
    }

    fn read(&mut self, prompt: &str) -> Result<Read, Failure> {
        match self {
            Self::Typed { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Read::Line(line)),
                Err(ReadlineError::Interrupted) => Ok(Read::GivenUp),
                Err(ReadlineError::Eof) => Ok(Read::End),
                Err(error) => Err(cant_read(error)),
            },
            Self::Given => match io::stdin().lines().next() {
                Some(line) => line.map(Read::Line).map_err(cant_read),
                None => Ok(Read::End),
            },
        }
    }

    /// Keeps a line for the next time. That it can't be kept must not stop the work.
    pub(super) fn remember(&mut self, line: &str) {
        let Self::Typed { editor, history } = self else { return };
        let kept = editor.add_history_entry(line).and_then(|_| editor.append_history(history));
        if let Err(error) = kept {
            tracing::debug!(%error, "the history can't be kept in {}", history.display());
        }
    }

    /// How the process ends: whoever types has seen what failed.
    pub(super) fn code(&self, spoilt: Option<ExitCode>) -> ExitCode {
        match self {
            Self::Typed { .. } => ExitCode::SUCCESS,
            Self::Given => spoilt.unwrap_or(ExitCode::SUCCESS),
        }
    }
}

/// What came of asking for a line.
enum Read {
    Line(String),
    /// Ctrl-C.
    GivenUp,
    End,
}

fn editor(history: &Path, completion: Completion) -> rustyline::Result<Editor<Completion, DefaultHistory>> {
    let config = Config::builder()
        .max_history_size(REMEMBERED)?
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
    Failure::io("can't read commands", io::Error::other(error))
}

/// Whether a line ends with a backslash that stands for itself.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_at_the_end_continues_the_line_unless_it_is_quoted_by_another() {
        assert!(goes_on("tasks \\") && goes_on("\\\\\\"));
        assert!(!goes_on("tasks") && !goes_on("tasks \\\\") && !goes_on(""));
    }
}
