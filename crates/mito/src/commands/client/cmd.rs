//! `mito client cmd`.

use std::os::unix::process::ExitStatusExt as _;

use mitosis_protocol::{ShellCode, WaitStatus};
use tokio::process::Command;

use super::Next;
use crate::cli::client::CmdArgs;
use crate::config::Environment;
use crate::process::failure::Failure;

const DEFAULT_SHELL: &str = "/bin/bash";

pub(super) async fn cmd(args: &CmdArgs, environment: &Environment) -> Result<Next, Failure> {
    super::partial_failure::require_any(&args.command, "command")?;
    let shell = environment.text("SHELL").unwrap_or(DEFAULT_SHELL);
    let mut command = Command::new(shell);
    command.arg("-c");
    match args.split {
        true => command.args(&args.command),
        false => command.arg(args.command.join(" ")),
    };
    let status = command
        .status()
        .await
        .map_err(|error| Failure::io(format!("cannot start the shell {shell}"), error))?;
    Ok(match WaitStatus(status.into_raw()).shell_code() {
        ShellCode::SUCCESS => Next::Continue,
        code => Next::Exit(code),
    })
}
