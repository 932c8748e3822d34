//! Why a command of `mito` failed: a sentence, its causes, what to do, and the exit code.

use std::error::Error;
use std::fmt;

use mitosis_client::{ClientError, TransferError};
use mitosis_coordinator::StartError;
use mitosis_domain::sweep::SweepError;
use mitosis_protocol::ErrorCode;
use mitosis_worker::WorkerError;

use crate::config::ConfigError;
use crate::exit::Exit;
use crate::show::text::escaped_lines;

/// A code of the coordinator as it is written.
fn word(code: ErrorCode) -> Option<String> {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// The coordinator's word for it.
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

    /// The same failure under another code.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// With the coordinator's word for it.
    pub(crate) fn with_code(self, code: Option<ErrorCode>) -> Self {
        Self { code: code.and_then(word), ..self }
    }

    /// The stable word for it: the coordinator's, or that of the exit code.
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.exit.word())
    }

    /// The same, saying first what it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { error: format!("{what}: {}", self.error).into(), ..self }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Nobody reads any more; there is nobody to tell.
    pub(crate) fn is_quiet(&self) -> bool {
        self.exit == Exit::BrokenPipe
    }

    /// A failure of this machine's files, terminal or clock.
    pub(crate) fn io(doing: impl fmt::Display, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Exit::BrokenPipe, source);
        }
        Self::new(Exit::Failure, IoFailure { doing: doing.to_string(), source })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
struct IoFailure {
    doing: String,
    source: std::io::Error,
}

impl fmt::Display for Failure {
    /// One line for the sentence, one for each cause, one for the hint.
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
            (_, Some(401)) => Exit::Auth,
            (_, Some(400)) if error.code() == Some(ErrorCode::MissingToken) => Exit::Auth,
            (_, Some(403)) => Exit::Forbidden,
            (_, Some(404)) => Exit::NotFound,
            (_, Some(429)) => Exit::Later,
            (_, Some(500..)) => Exit::Fault,
            (ClientError::Unreachable { .. } | ClientError::Unexpected { .. }, _) => Exit::Network,
            (ClientError::Address(_), _) => Exit::Config,
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
            TransferError::Unreachable { .. } => (
                Exit::Network,
                Some(
                    "the coordinator's s3_url or s3_public_url must be an address that this machine can reach",
                ),
            ),
            TransferError::Refused { .. } | TransferError::File { .. } => (Exit::Failure, None),
        };
        Self { exit, code: None, error: error.into(), hint: hint.map(str::to_owned) }
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        Self::new(Exit::Usage, error)
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

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Refused(error) => error.into(),
            WorkerError::Scratch { .. } => Self::new(Exit::Failure, error)
                .with_hint("set XDG_CACHE_HOME to a folder that can be written and has room"),
            WorkerError::Fault(_) => Self::new(Exit::Fault, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_causes_once_and_ends_with_what_to_do() {
        let source = std::io::Error::other("the disk is full");
        let failure = Failure::io("can't write notes.txt", source).with_hint("make room");
        assert_eq!(
            failure.to_string(),
            "mito: can't write notes.txt [failure]\n  because: the disk is full\n  hint: make room"
        );
    }
}
