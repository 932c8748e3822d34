//! Logging (command line §9): always to standard error, and to a file if configured.

mod filter;
mod tag;

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use self::filter::filter;
use self::tag::TaggedFormat;
pub(crate) use self::tag::WorkerTag;
use crate::config::Environment;
use crate::process::failure::Failure;

/// The log filter of a service.
pub(crate) const SERVICE_FILTER: &str = "mito=info,mitosis=info";
/// The log filter of a command: its own messages, and errors of libraries.
pub(crate) const COMMAND_FILTER: &str = "error";

/// A file to log to.
#[derive(Debug)]
pub(crate) enum LogFile {
    /// One file.
    At(PathBuf),
    /// `folder/name.<date>`, a new one each day.
    Daily { folder: PathBuf, name: String },
    /// Like `Daily`, shared by several workers, whose names are in the lines. At most three files are kept.
    Shared { folder: PathBuf, name: String, tag: WorkerTag },
}

/// The number of shared log files that are kept.
const MAX_SHARED_FILES: usize = 3;

/// Flushes the log file when it is dropped.
#[derive(Debug)]
#[must_use = "the file is flushed when this goes"]
pub(crate) struct Logging(#[expect(dead_code, reason = "held for its drop")] Option<WorkerGuard>);

/// Starts logging. Called once per process.
pub(crate) fn start(
    environment: &Environment,
    default: &str,
    file: Option<LogFile>,
) -> Result<Logging, Failure> {
    let mut bad = Vec::new();
    let mut filter = |variable| {
        let (filter, unknown) = filter(environment.text(variable).unwrap_or(default));
        bad.extend(unknown.into_iter().map(|directive| (variable, directive)));
        filter
    };
    let console = fmt::layer()
        .with_writer(std::io::stderr)
        // Errors of the writer would go to standard error, and panic if that fails, too.
        .log_internal_errors(false)
        .with_ansi(
            environment.text("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr()),
        )
        .with_filter(filter("RUST_LOG"));
    let (file, guard) = match file {
        Some(file) => {
            let lines = TaggedFormat { tag: file.tag(), format: fmt::format::Format::default() };
            let appender = open(file)?;
            let (writer, guard) = tracing_appender::non_blocking(appender);
            let layer = fmt::layer().with_writer(writer).with_ansi(false).log_internal_errors(false);
            let layer = layer.event_format(lines);
            (Some(layer.with_filter(filter("MITO_FILE_LOG_LEVEL"))), Some(guard))
        }
        None => (None, None),
    };
    tracing_subscriber::registry().with(console).with(file).init();
    for (variable, directive) in bad {
        tracing::warn!("invalid directive `{directive}` in {variable}; it has no effect");
    }
    Ok(Logging(guard))
}

fn open(file: LogFile) -> Result<Box<dyn std::io::Write + Send>, Failure> {
    // Logs hold secrets, such as that of `client admin shutdown`.
    let folder = |path: &Path| {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            Failure::io(format!("cannot create the log directory {}", path.display()), error)
        })
    };
    match file {
        LogFile::At(path) => {
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                folder(parent)?;
            }
            let opened = std::fs::File::options().create(true).append(true).mode(0o600).open(&path);
            opened
                .map(|file| Box::new(file) as _)
                .map_err(|error| Failure::io(format!("cannot write the log file {}", path.display()), error))
        }
        LogFile::Daily { folder: place, name } => {
            folder(&place)?;
            daily(&place, name, None)
        }
        LogFile::Shared { folder: place, name, .. } => {
            folder(&place)?;
            daily(&place, name, Some(MAX_SHARED_FILES))
        }
    }
}

fn daily(
    folder: &Path,
    name: String,
    max_files: Option<usize>,
) -> Result<Box<dyn std::io::Write + Send>, Failure> {
    let builder = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix(name);
    let builder = max_files.into_iter().fold(builder, tracing_appender::rolling::Builder::max_log_files);
    builder.build(folder).map(|appender| Box::new(appender) as _).map_err(|error| {
        Failure::io(format!("cannot write logs to {}", folder.display()), std::io::Error::other(error))
    })
}

impl LogFile {
    fn tag(&self) -> Option<WorkerTag> {
        match self {
            Self::At(_) | Self::Daily { .. } => None,
            Self::Shared { tag, .. } => Some(tag.clone()),
        }
    }
}
