//! Formats a systemd unit and its environment file, each with its own quoting rules.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What a unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Workers: a template with an instance for each.
    Worker,
    /// A coordinator.
    Coordinator,
}

/// The part of a unit about the processes of workers. Control groups are delegated, so that a worker can limit the memory of
/// each task; and when the kernel ends one for its memory, the worker and the other tasks run on.
const WORKER: &str = "\
Delegate=yes
OOMPolicy=continue
TasksMax=infinity
LimitCORE=0
KillMode=mixed
";

/// The part of a unit about the process of a coordinator, which starts no other programs.
const COORDINATOR: &str = "\
KillMode=mixed
TimeoutStopSec=60
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
";

/// The parts of a unit.
pub(super) struct Unit<'a> {
    pub(super) role: Role,
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
        let (subcommand, description, process, target) = match self.role {
            Role::Worker => ("worker", "Mitosis worker %i", WORKER, "default.target"),
            Role::Coordinator => ("coordinator", "Mitosis coordinator", COORDINATOR, "default.target"),
        };
        // Without isolation, commands may gain privileges.
        let is_isolated = !self.words.iter().any(|word| word == "--isolation=none");
        let finishes = self.words.iter().any(|word| word == "--on-term=finish");
        let more = match (self.role, is_isolated, finishes) {
            (Role::Coordinator, ..) => "",
            (Role::Worker, true, false) => "NoNewPrivileges=yes\nTimeoutStopSec=30\n",
            (Role::Worker, true, true) => "NoNewPrivileges=yes\nTimeoutStopSec=infinity\n",
            (Role::Worker, false, false) => "TimeoutStopSec=30\n",
            (Role::Worker, false, true) => "TimeoutStopSec=infinity\n",
        };
        let mut command = quoted(self.program.as_os_str())?;
        for word in std::iter::once(OsStr::new(subcommand))
            .chain(self.words.iter().map(std::ffi::OsString::as_os_str))
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
Description={description}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
WorkingDirectory={folder}
EnvironmentFile={environment}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 67 77 78
{process}{more}
[Install]
WantedBy={target}
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
            role: Role::Worker,
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
    fn workers_get_a_group_and_no_privileges() {
        let text = |role, words: &[std::ffi::OsString]| {
            let home = Path::new("/home/ann");
            Unit { role, program: home, words, folder: home, environment: home }.text().unwrap()
        };
        let worker = text(Role::Worker, &[]);
        for line in ["Delegate=yes", "OOMPolicy=continue", "NoNewPrivileges=yes", "Restart=on-failure"] {
            assert!(worker.lines().any(|it| it == line), "{line}: {worker}");
        }
        assert!(worker.contains("\nTimeoutStopSec=30\n"));
        assert!(text(Role::Worker, &["--on-term=finish".into()]).contains("\nTimeoutStopSec=infinity\n"));
        assert!(!text(Role::Worker, &["--isolation=none".into()]).contains("NoNewPrivileges"));
        let coordinator = text(Role::Coordinator, &["--config=/etc/mito.toml".into()]);
        assert!(
            coordinator.contains("\nExecStart=\"/home/ann\" \"coordinator\" \"--config=/etc/mito.toml\"\n")
        );
        assert!(coordinator.contains("\nRestrictSUIDSGID=yes\n") && !coordinator.contains("Delegate"));
        assert_eq!(coordinator.matches("NoNewPrivileges").count(), 1);
    }

    #[test]
    fn line_breaks_are_refused() {
        let words = ["--user=ann\nExecStartPre=evil".into()];
        let home = Path::new("/home/ann");
        let unit = Unit { role: Role::Worker, program: home, words: &words, folder: home, environment: home };
        assert!(unit.text().is_err());
        assert!(variable("A".as_ref(), "b\nC=d".as_ref()).is_err());
    }
}
