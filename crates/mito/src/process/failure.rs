//! Failures of commands: a message, its causes, a hint, and the exit code.

use std::error::Error;
use std::num::{IntErrorKind, ParseIntError};
use std::path::Path;
use std::{fmt, io};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use mitosis_blueprint::InvalidBlueprint;
use mitosis_client::{ClientError, TransferError};
use mitosis_coordinator::{StartError, TaskFailed};
use mitosis_protocol::{ErrorBody, ErrorCode};
use mitosis_supervisor::SupervisorError;
use mitosis_worker::WorkerError;

use crate::cli::value_parsers::InvalidArgument;
use crate::config::ConfigError;
use crate::process::exit::Exit;
use crate::show::text::escaped_lines;

/// The wire name of an error code.
fn word(code: ErrorCode) -> Option<String> {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

/// The failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// The error code of the coordinator.
    code: Option<String>,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, code: None, error: error.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds to the hint.
    pub(crate) fn and_hint(self, more: &str) -> Self {
        let hint = self.hint.map_or(more.to_owned(), |hint| format!("{hint}; {more}"));
        Self { hint: Some(hint), ..self }
    }

    /// Replaces the exit code.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The refusal of a task by the coordinator.
    pub(crate) fn refused(refusal: ErrorBody) -> Self {
        let exit = match refusal.code {
            Some(ErrorCode::Forbidden | ErrorCode::QuotaExceeded | ErrorCode::AccountNotActive) => {
                Exit::Forbidden
            }
            Some(ErrorCode::NotFound) => Exit::NotFound,
            _ => Exit::Failure,
        };
        Self { code: refusal.code.and_then(word), hint: refusal.hint, ..Self::new(exit, refusal.msg) }
    }

    /// The stable code word: that of the coordinator, or that of the exit code.
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.exit.word())
    }

    /// Adds a subject before the message.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { error: format!("{what}: {}", self.error).into(), ..self }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether nothing is printed, because the reader closed the pipe.
    pub(crate) fn is_quiet(&self) -> bool {
        self.exit == Exit::BrokenPipe
    }

    /// An invalid command line. `help` is how to show help, if it is not an option of the command.
    pub(crate) fn usage(error: &clap::Error, help: Option<&str>) -> Self {
        if error.kind() == ErrorKind::ValueValidation
            && let Some(failure) = invalid_value(error)
        {
            return failure;
        }
        let text = error.render().to_string();
        let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let sentence = parts.next().unwrap_or_default();
        let (mut hints, mut usage) = (Vec::new(), None);
        for part in parts {
            match (part.strip_prefix("tip: "), part.strip_prefix("Usage: ")) {
                // Passing an unknown option as a value is never the intention.
                (Some(tip), _) if tip.starts_with("to pass '") => {}
                (Some(tip), _) => hints.push(tip.to_owned()),
                (None, Some(rest)) => usage = Some(rest.to_owned()),
                (None, None) => {}
            }
        }
        let words = usage.as_deref().unwrap_or_default().split(' ');
        let command: Vec<&str> = words.take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
        if hints.is_empty() && error.kind() != ErrorKind::InvalidValue {
            hints.push(match help {
                Some(help) => help.to_owned(),
                None if command.is_empty() => "see `mito --help`".to_owned(),
                None => format!("see `{} --help`", command.join(" ")),
            });
        }
        let usage = usage.map(|usage| format!("\n  usage: {usage}")).unwrap_or_default();
        let failure = Self::new(Exit::Usage, sentence.trim_start_matches("error: "));
        match hints.is_empty() && usage.is_empty() {
            true => failure,
            false => failure.with_hint(hints.join("; ") + &usage),
        }
    }

    /// An I/O error of a local file, the terminal or the clock.
    pub(crate) fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::BrokenPipe, source);
        }
        let hint = hint_of(&source).map(str::to_owned);
        Self { hint, ..Self::new(Exit::Failure, IoFailure { doing: doing.to_string(), source }) }
    }

    /// An error for a file of the user that can't be read. A missing one has its own exit code.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => {
                let failure = Self::new(Exit::NotFound, format!("no such file: {}", path.display()));
                match path.is_absolute() {
                    true => failure,
                    false => failure.with_hint("relative paths are resolved against the current directory"),
                }
            }
            _ => Self::io(format!("cannot read {}", path.display()), source),
        }
    }

    /// The message without its causes.
    pub(crate) fn sentence(&self) -> String {
        escaped_lines(&self.error.to_string())
    }

    /// The message and its root cause.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.error.to_string();
        let mut deepest = self.error.source();
        while let Some(cause) = deepest.and_then(Error::source) {
            deepest = Some(cause);
        }
        if let Some(cause) = deepest.map(ToString::to_string).filter(|cause| !line.contains(cause)) {
            line.push_str(": ");
            line.push_str(&cause);
        }
        line.replace('\n', " ")
    }
}

/// The failure for an invalid value of an argument. The value is shown once, also if the problem repeats it.
fn invalid_value(error: &clap::Error) -> Option<Failure> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (arg, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let name = arg.split([' ', '=']).next().unwrap_or(arg).trim_matches(['[', ']', '<', '>', '.']);
    let source = error.source()?;
    let number = source.downcast_ref::<ParseIntError>().map(ParseIntError::kind);
    let problem = match number {
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => {
            "the number is out of range".to_owned()
        }
        Some(IntErrorKind::Zero) => "expected a number of at least 1".to_owned(),
        Some(_) => "expected a number".to_owned(),
        None => source.to_string(),
    };
    let names_value = !value.is_empty() && problem.contains(&format!("`{value}`"));
    let sentence = match names_value {
        true => problem,
        false => format!("invalid value `{value}` for {name}: {problem}"),
    };
    let hint = source.downcast_ref::<InvalidArgument>().and_then(InvalidArgument::hint);
    let failure = Failure::new(Exit::Usage, sentence);
    Some(match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    })
}

/// A hint for common errors of the system.
fn hint_of(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as E;
    match error.kind() {
        E::StorageFull | E::QuotaExceeded => Some(
            "free disk space, or set XDG_CACHE_HOME, XDG_DATA_HOME, XDG_CONFIG_HOME or TMPDIR to another file \
             system; `mito doctor` checks all of them",
        ),
        E::PermissionDenied => Some("check its owner and mode with `ls -ld`"),
        E::ReadOnlyFilesystem => Some("the file system is read-only; use another one"),
        E::NotFound | E::NotADirectory => Some("check the path: a part of it is missing or not a directory"),
        E::IsADirectory => Some("it is a directory; name a file"),
        _ => None,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
struct IoFailure {
    doing: String,
    source: io::Error,
}

impl fmt::Display for Failure {
    /// Formats the message, each cause, and the hint on lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.error.to_string();
        write!(f, "mito: {} [{}]", escaped_lines(said.trim_end()), self.code())?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let sentence = error.to_string();
            if !said.contains(&sentence) {
                write!(f, "\n  because: {}", escaped_lines(&sentence))?;
                said.push_str(&sentence);
            }
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", escaped_lines(hint))?;
        }
        Ok(())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match (&error, error.status()) {
            // Some routes of the contract use another status for it.
            (_, Some(400..500)) if error.code() == Some(ErrorCode::NotFound) => Exit::NotFound,
            (_, Some(401)) => Exit::Auth,
            (_, Some(400)) if error.code() == Some(ErrorCode::MissingToken) => Exit::Auth,
            (_, Some(403)) => Exit::Forbidden,
            (_, Some(404)) => Exit::NotFound,
            (_, Some(429)) => Exit::Later,
            (_, Some(502..=504)) => Exit::Network,
            (_, Some(500..)) => Exit::Fault,
            (ClientError::Intercepted { status: 413, .. }, _) => Exit::Failure,
            (ClientError::Intercepted { status: 429, .. }, _) => Exit::Later,
            (
                ClientError::Unreachable { .. }
                | ClientError::Silent { .. }
                | ClientError::Unexpected { .. }
                | ClientError::Intercepted { .. },
                _,
            ) => Exit::Network,
            (ClientError::Address { .. } | ClientError::Redirected { .. }, _) => Exit::Config,
            _ => Exit::Failure,
        };
        let hint = error.hint().map(str::to_owned);
        let code = error.code().and_then(word);
        Self { exit, code, error: error.into(), hint }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let (exit, hint) = match &error {
            TransferError::Unreachable { .. } | TransferError::Silent { .. } => (
                Exit::Network,
                Some(
                    "the coordinator's s3_url or s3_public_url must be an address that this machine can reach",
                ),
            ),
            TransferError::File { source, .. } => (Exit::Failure, hint_of(source)),
            TransferError::Refused { status: 413, .. } => (
                Exit::Failure,
                Some(
                    "raise the limit of the proxy in front of the object store (nginx: client_max_body_size 0)",
                ),
            ),
            TransferError::Refused { status: 502..=504, .. } => (
                Exit::Network,
                Some("try again later; if it persists, check the object store with `mito doctor`"),
            ),
            TransferError::Refused { .. } => (
                Exit::Failure,
                Some("links expire: try again; if it persists, check the object store with `mito doctor`"),
            ),
        };
        Self { exit, code: None, error: error.into(), hint: hint.map(str::to_owned) }
    }
}

impl From<InvalidBlueprint> for Failure {
    fn from(error: InvalidBlueprint) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<mitosis_sweep::Error> for Failure {
    fn from(error: mitosis_sweep::Error) -> Self {
        use mitosis_sweep::Error as E;
        let hint = error.hint();
        match error {
            E::Blueprint(error) => error.into(),
            E::Task { number, path, source } => {
                Self::from(*source).about(&format!("task {number} of {}", path.display()))
            }
            E::Unreadable { path, source } => Self::unreadable(&path, source),
            E::Io { action, path, source } => Self::io(format!("cannot {action} {}", path.display()), source),
            E::Refused(refusal) => Self::refused(refusal),
            E::Client(error) => error.into(),
            E::Interrupted { source, .. } => Self { hint, ..source.into() },
            E::Input { .. } | E::NameTaken(_) => Self { hint, ..Self::new(Exit::Usage, error) },
            E::NotInterrupted { .. } => Self { hint, ..Self::new(Exit::NotFound, error) },
            E::Corrupt { .. } => Self { hint, ..Self::new(Exit::Failure, error) },
            E::UnexpectedReply => Self::new(Exit::Fault, error),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        Self { exit: Exit::Config, code: None, error: error.into(), hint }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let hint = error.hint();
        Self { exit: Exit::Failure, code: None, error: error.into(), hint }
    }
}

impl From<SupervisorError> for Failure {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::Io { action, source } => Self::io(action, source),
            error => {
                let hint = error.hint();
                Self { hint, ..Self::new(Exit::Failure, error) }
            }
        }
    }
}

impl From<TaskFailed> for Failure {
    fn from(error: TaskFailed) -> Self {
        Self::new(Exit::Fault, error).with_hint("this is a bug in mito; its log has the details")
    }
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Refused(error) => error.into(),
            WorkerError::Scratch { .. } => Self::new(Exit::Failure, error)
                .with_hint("set XDG_CACHE_HOME to a writable directory with free space"),
            WorkerError::Thread(_) => Self::new(Exit::Failure, error)
                .with_hint("use fewer --slots, or raise the limit on processes (ulimit -u)"),
            WorkerError::Isolation(_) => Self::new(Exit::Failure, error)
                .with_hint("run the worker in a systemd unit with `Delegate=yes`, or use --isolation auto"),
            WorkerError::Fault(_) => Self::new(Exit::Fault, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn usage_errors_have_the_common_format() {
        let message = |words: &str| {
            let error = crate::cli::Cli::try_parse_from(words.split(' ')).unwrap_err();
            Failure::usage(&error, None).to_string()
        };
        assert_eq!(
            message("mito coordinator --bnd x"),
            "mito: unexpected argument '--bnd' found [usage]\n  hint: a similar argument exists: '--bind'\n  \
             usage: mito coordinator --bind <BIND>"
        );
        assert_eq!(
            message("mito run"),
            "mito: the following required arguments were not provided: <CMD>... [usage]\n  \
             hint: see `mito run --help`\n  usage: mito run <CMD>..."
        );
        for (line, expected) in [
            (
                "mito client login -u ann",
                "unexpected argument '-u' found [usage]\n  hint: see `mito client login --help`",
            ),
            (
                "mito client tokens revoke x",
                "invalid token id `x`: expected a number [usage]\n  hint: `mito client tokens",
            ),
            ("mito manager kill x", "invalid value `x` for NUMBER: expected a number [usage]"),
            ("mito dev -b here", "invalid value `here` for --bind: expected an IP address or the name"),
            ("mito run -e x -- true", "invalid value `x` for --env: expected NAME=VALUE [usage]"),
        ] {
            let message = message(line);
            assert!(message.starts_with(&format!("mito: {expected}")), "{line}: {message}");
        }
        let priority = message("mito submit -p high -- true");
        assert!(
            priority.starts_with("mito: invalid priority `high`: expected") && !priority.contains("hint")
        );
    }

    /// `mito run` fails with the refusal of a task, `mito submit` with that of a sweep.
    #[test]
    fn refusal_has_the_same_code_from_run_and_submit() {
        let refusal = ErrorBody {
            msg: "the group is full".into(),
            code: Some(ErrorCode::QuotaExceeded),
            hint: Some("ask an administrator".into()),
            request_id: None,
        };
        let of_run = Failure::refused(refusal.clone());
        let of_submit = Failure::from(mitosis_sweep::Error::Refused(refusal));
        assert_eq!((of_run.exit(), of_run.code()), (Exit::Forbidden, "quota_exceeded"));
        assert_eq!(of_submit.exit(), of_run.exit());
        assert_eq!(of_submit.to_string(), of_run.to_string());
    }

    #[test]
    fn root_cause_is_shown_on_one_line() {
        let source = io::Error::other("the disk is full");
        assert_eq!(Failure::io("cannot write", source).in_one_line(), "cannot write: the disk is full");
    }

    #[test]
    fn common_system_errors_have_a_hint() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound] {
            let failure = Failure::io("cannot write x", kind.into());
            assert!(failure.to_string().contains("\n  hint: "), "{failure}");
        }
        let missing = Failure::unreadable(Path::new("x.csv"), io::ErrorKind::NotFound.into());
        assert_eq!((missing.exit(), missing.code()), (Exit::NotFound, "not_found"));
    }

    #[test]
    fn failure_lists_each_cause_once_and_ends_with_the_hint() {
        let source = io::Error::other("the disk is full");
        let failure = Failure::io("cannot write notes.txt", source).with_hint("make room");
        assert_eq!(
            failure.to_string(),
            "mito: cannot write notes.txt [failure]\n  because: the disk is full\n  hint: make room"
        );
    }
}
