//! Finds the process that uses the same data directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mitosis_coordinator::StartError;

use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::text::shell_word;

/// The file with the process id and the address of a running instance.
const FILE: &str = "running";

/// Records this process, for the error message of another start.
pub(crate) fn record(home: &Path, address: &str) -> io::Result<()> {
    let path = home.join(FILE);
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{} {address}", std::process::id())
}

/// The error of a failed start. If another instance is running, it names that one.
pub(crate) fn explain_start_error(error: StartError, home: &Path) -> Failure {
    let Some(owner) = error.in_use_by() else { return error.into() };
    let word = fs::read_to_string(home.join(FILE)).unwrap_or_default();
    let known = word.split_whitespace().collect::<Vec<_>>();
    match (owner, &known[..]) {
        (Some(owner), [process, address]) if *process == owner.to_string() => Failure::new(
            Exit::Failure,
            format!("mitosis is already running on this data, at {address} (process {owner}): it is in use by another process"),
        )
        .with_hint(format!(
            "use it: `{}`; or stop it with Ctrl-C in its terminal or with `kill {owner}`; or start another one with \
             a different --data",
            connect_command(address, home)
        )),
        (Some(owner), _) => Failure::from(error)
            .with_hint(format!("stop it (`kill {owner}`), or use a different --data")),
        (None, _) => error.into(),
    }
}

/// The shell command that sets the environment.
pub(crate) fn connect_command(address: &str, home: &Path) -> String {
    let credentials = home.join("credentials").display().to_string();
    format!("export MITO_COORDINATOR_ADDR={address} MITO_CREDENTIAL_PATH={}", shell_word(&credentials))
}
