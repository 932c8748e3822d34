//! `mito dev --detach`: starts the system as a process of its own, and waits until it is ready.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::home;
use crate::cli::dev::StartArgs;
use crate::config::Environment;
use crate::config::instances::Instances;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

/// The option of the process in the background.
const DETACHED: &str = "--detached";
/// The last line that the process in the background prints.
const READY: &str = "ready";
/// A log that is longer at a start is moved away. One older log is kept.
const MAX_LOG_BYTES: u64 = 8 << 20;
/// How much of the log is shown after a failed start.
const MAX_SHOWN_BYTES: u64 = 16 << 10;

/// Whether this process is a system in the background.
pub(crate) fn is_detached() -> bool {
    let mut args = std::env::args_os().skip(1);
    args.next().is_some_and(|command| command == "dev")
        && args.next().is_some_and(|option| option == DETACHED)
}

/// Reports to the process that has started this one that the system is ready.
pub(super) fn announce_ready() {
    // That process may have been interrupted.
    if let Err(failure) = show::line(READY) {
        tracing::debug!(%failure, "cannot report the start");
    }
}

/// The file with the messages of a system in the background.
pub(super) fn log_file(home: &Path) -> PathBuf {
    home.join("dev.log")
}

pub(super) async fn start(args: &StartArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let home = home(args.data.data.as_deref(), environment)?;
    let path = log_file(&home);
    let log = open_log(&home, &path)
        .map_err(|error| Failure::io(format!("cannot write the log file {}", path.display()), error))?;
    let start_of_log = log.metadata().map_or(0, |about| about.len());
    let failed = |error| Failure::io("cannot start the system in the background", error);
    let mut system = Command::new(std::env::current_exe().map_err(failed)?)
        .args(arguments(args, &home))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    let mut said = None;
    if let Some(stdout) = system.stdout.take() {
        said = read_until_ready(BufReader::new(stdout)).await.map_err(failed)?;
    }
    let Some(said) = said else {
        let status = system.wait().await.map_err(failed)?;
        return failed_start(status.code(), &path, start_of_log);
    };
    show::line(said.trim_end())?;
    match Instances::find(environment).of_data(&home) {
        Some(instance) => show::line(format_args!(
            "It runs in the background (process {}) and logs to {}; `mito dev stop` stops it.",
            instance.process,
            path.display()
        ))?,
        None => show::line(format_args!("It runs in the background and logs to {}.", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what the system says until it is ready. `None` if it ended before.
async fn read_until_ready(stdout: impl tokio::io::AsyncBufRead + Unpin) -> io::Result<Option<String>> {
    let (mut lines, mut said) = (stdout.lines(), String::new());
    while let Some(line) = lines.next_line().await? {
        if line == READY {
            return Ok(Some(said));
        }
        said.push_str(&line);
        said.push('\n');
    }
    Ok(None)
}

fn arguments(args: &StartArgs, home: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["dev".into(), DETACHED.into(), "--data".into(), home.into()];
    arguments.extend(["--bind".into(), args.bind.to_string().into()]);
    if let Some(slots) = args.slots {
        arguments.extend(["--slots".into(), slots.to_string().into()]);
    }
    arguments
}

fn open_log(home: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    if fs::metadata(path).is_ok_and(|about| about.len() > MAX_LOG_BYTES) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// Shows the failure of the process in the background, which is in the log, and ends with its exit code.
fn failed_start(code: Option<i32>, log: &Path, start: u64) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.take(MAX_SHOWN_BYTES).read_to_string(&mut text)
    });
    match (read, text.trim_end(), code.and_then(|code| u8::try_from(code).ok())) {
        (Ok(_), text, Some(code)) if !text.is_empty() && code != 0 => {
            note!("{text}");
            Ok(code.into())
        }
        _ => Err(Failure::new(Exit::Failure, "the system in the background ended while it started")
            .with_hint(format!("its log is {}", log.display()))),
    }
}
