//! The command of a job file: a list, a line, or a script.

use serde::Deserialize;

use super::error::Error;

/// Shells that accept a script after `-c`.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "ksh", "zsh"];

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a list of words, a command line, or a script of several lines")]
pub(super) enum Command {
    Words(Vec<String>),
    /// A single line is split into words like in a shell, but runs without one. Several lines are a shell script.
    Text(String),
}

impl Command {
    /// The program and its arguments.
    pub(super) fn words(&self) -> Result<Vec<String>, Error> {
        let words = match self {
            Self::Words(words) => words.clone(),
            Self::Text(text) if text.trim_end().contains('\n') => script(text)?,
            Self::Text(line) => split(line)?,
        };
        match words.is_empty() {
            true => Err(Self::missing()),
            false => Ok(words),
        }
    }

    /// The error of a task without a command.
    pub(super) fn missing() -> Error {
        Error::input("no command")
            .with_hint(r#"write command = ["python3", "train.py"] or command = "python3 train.py""#)
    }
}

fn split(line: &str) -> Result<Vec<String>, Error> {
    /// A mark that no command contains, as the system ends strings with it.
    const HASH: &str = "\0";
    let halved = || {
        Error::input(format!("unmatched quote in the command `{line}`"))
            .with_hint("escape a literal quote with a backslash, or write the command as a list")
    };
    let words = shlex::split(line).ok_or_else(halved)?;
    // The text after a `#` would be dropped as a comment.
    let uncommented = shlex::split(&line.replace('#', HASH)).ok_or_else(halved)?;
    match words.iter().map(|word| word.replace('#', HASH)).eq(uncommented) {
        true => Ok(words),
        false => Err(Error::input(format!("the command `{line}` contains `#`, which begins a comment"))
            .with_hint("quote the word, or write the command as a list")),
    }
}

fn script(text: &str) -> Result<Vec<String>, Error> {
    let shell = match text.strip_prefix("#!") {
        None => vec!["sh".to_owned()],
        Some(rest) => interpreter(rest.lines().next().unwrap_or_default())?,
    };
    Ok(shell.into_iter().chain(["-c".to_owned(), text.to_owned()]).collect())
}

/// The shell in the first line of a script, with its options.
fn interpreter(line: &str) -> Result<Vec<String>, Error> {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words.len() > 1 && words[0].ends_with("/env") {
        words.remove(0);
    }
    let name = words.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    match SHELLS.contains(&name) {
        true => Ok(words),
        false => Err(Error::input(format!("unsupported interpreter `{}`: expected a shell", line.trim()))
            .with_hint("save the script as a file, list it under `attachments`, and run it by its name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, String> {
        Command::Text(text.to_owned()).words().map_err(|error| error.full_message())
    }

    #[test]
    fn line_is_split_and_several_lines_are_a_script() {
        for (text, expected) in [
            ("echo 'a b' c", &["echo", "a b", "c"][..]),
            ("echo a\n", &["echo", "a"]),
            ("echo a#b '#c'", &["echo", "a#b", "#c"]),
            ("a\nb", &["sh", "-c", "a\nb"]),
            ("# why\na 'x y' \\\n  | b\n", &["sh", "-c", "# why\na 'x y' \\\n  | b\n"]),
            ("#!/bin/bash -e\na\n", &["/bin/bash", "-e", "-c", "#!/bin/bash -e\na\n"]),
            ("#!/usr/bin/env bash\na\n", &["bash", "-c", "#!/usr/bin/env bash\na\n"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn command_with_shell_syntax_is_refused() {
        for (text, message) in [
            ("", "no command"),
            ("paint --color #fff", "begins a comment"),
            ("# only", "begins a comment"),
            ("echo 'a", "quote"),
            ("#!/usr/bin/python3\nimport os\n", "python3"),
        ] {
            let error = words(text).unwrap_err();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }
}
