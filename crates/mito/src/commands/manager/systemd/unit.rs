//! Formats a systemd unit and its environment file, each with its own quoting rules.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The parts of a unit.
pub(super) struct Unit<'a> {
    pub(super) program: &'a Path,
    pub(super) words: &'a [std::ffi::OsString],
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Path,
}

/// A text that can't be written to a unit.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be written into a unit: it must be a single line of text")]
pub(super) struct Unwritable(String);

impl Unit<'_> {
    pub(super) fn text(&self) -> Result<String, Unwritable> {
        let mut command = quoted(self.program.as_os_str())?;
        for word in
            std::iter::once(OsStr::new("worker")).chain(self.words.iter().map(std::ffi::OsString::as_os_str))
        {
            command.push(' ');
            command.push_str(&quoted(word)?);
        }
        let folder = path(self.folder)?;
        let environment = path(self.environment)?;
        // A restart would repeat these errors: usage, not logged in, forbidden, configuration.
        Ok(format!(
            "# Written by `mito manager systemd install`; run it again to update it.
[Unit]
Description=Mitosis worker %i
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
WorkingDirectory={folder}
EnvironmentFile={environment}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 67 77 78
KillMode=mixed
TimeoutStopSec=30

[Install]
WantedBy=default.target
"
        ))
    }
}

/// Formats a line of the environment file. Nothing is expanded there.
pub(super) fn variable(name: &OsStr, value: &OsStr) -> Result<String, Unwritable> {
    let value = plain(value, name)?;
    let name = plain(name, name)?;
    let mut line = format!("{name}=\"");
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(letter);
    }
    line.push_str("\"\n");
    Ok(line)
}

/// Quotes an argument; `%` and `$` are escaped.
fn quoted(word: &OsStr) -> Result<String, Unwritable> {
    let mut text = String::from("\"");
    for letter in plain(word, word)?.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '%' | '$' => text.extend([letter, letter]),
            _ => text.push(letter),
        }
    }
    text.push('"');
    Ok(text)
}

/// Formats a path, which extends to the end of the line.
fn path(path: &Path) -> Result<String, Unwritable> {
    Ok(plain(path.as_os_str(), path.as_os_str())?.replace('%', "%%"))
}

fn plain<'a>(text: &'a OsStr, of: &OsStr) -> Result<&'a str, Unwritable> {
    std::str::from_utf8(text.as_bytes())
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| Unwritable(of.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        let words = ["--tags=a b".into(), "--labels=100%".into(), r#"--user=a"b\c$HOME"#.into()];
        let unit = Unit {
            program: Path::new("/opt/my tools/mito"),
            words: &words,
            folder: Path::new("/home/ann/50%"),
            environment: Path::new("/home/ann/x.env"),
        };
        let text = unit.text().unwrap();
        let command = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        assert_eq!(
            command,
            r#""/opt/my tools/mito" "worker" "--tags=a b" "--labels=100%%" "--user=a\"b\\c$$HOME""#
        );
        assert!(text.contains("\nWorkingDirectory=/home/ann/50%%\n"));
        assert_eq!(variable("A".as_ref(), r#""p$w\d %""#.as_ref()).unwrap(), "A=\"\\\"p\\$w\\\\d %\\\"\"\n");
    }

    #[test]
    fn line_breaks_are_refused() {
        let words = ["--user=ann\nExecStartPre=evil".into()];
        let home = Path::new("/home/ann");
        let unit = Unit { program: home, words: &words, folder: home, environment: home };
        assert!(unit.text().is_err());
        assert!(variable("A".as_ref(), "b\nC=d".as_ref()).is_err());
    }
}
