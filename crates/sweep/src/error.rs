//! Errors of sweeps and of their submission.

use std::io;
use std::path::PathBuf;

use mitosis_blueprint::InvalidBlueprint;
use mitosis_client::ClientError;
use mitosis_protocol::ErrorBody;

/// Why a sweep can't be read or submitted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The parameters or their values are invalid.
    #[error(transparent)]
    Blueprint(#[from] InvalidBlueprint),
    /// An option or a file is invalid.
    #[error("{message}")]
    Input {
        /// The problem.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
    /// A task of a job file is invalid.
    #[error("task {number} of {}: {source}", path.display())]
    Task {
        /// The position of the task, from 1.
        number: usize,
        /// The job file.
        path: PathBuf,
        /// The problem of the task.
        source: Box<Error>,
    },
    /// A file of the user can't be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The files of a submission can't be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb: read, create, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A saved submission can't be parsed.
    #[error("invalid submission file {}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// No submission with this id was interrupted here.
    #[error("no interrupted submission `{id}` on this machine")]
    NotInterrupted {
        /// The id.
        id: String,
        /// The ids of the interrupted submissions.
        others: Vec<String>,
    },
    /// The name belongs to a submission of other tasks.
    #[error("the name `{0}` is taken by a submission of other tasks")]
    NameTaken(String),
    /// The coordinator refused a task.
    #[error("{}", .0.msg)]
    Refused(ErrorBody),
    /// The coordinator's reply is for a different number of tasks.
    #[error("unexpected reply: the coordinator answered for a different number of tasks")]
    UnexpectedReply,
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A request failed, and the submission can be resumed.
    #[error("{source}")]
    Interrupted {
        /// The error of the request.
        source: ClientError,
        /// The id of the submission.
        id: String,
    },
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Input { message, .. } => Self::Input { message, hint: Some(hint.into()) },
            other => other,
        }
    }

    /// Adds a subject before the message.
    pub(crate) fn about(self, what: &str) -> Self {
        match self {
            Self::Input { message, hint } => Self::Input { message: format!("{what}: {message}"), hint },
            other => other,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input { hint, .. } => hint.clone(),
            Self::Task { source, .. } => source.hint(),
            Self::Corrupt { .. } => Some(
                "another version of mito may have written it; remove it to abandon the submission".to_owned(),
            ),
            Self::NotInterrupted { others, .. } if others.is_empty() => {
                Some("all submissions from this machine are complete".to_owned())
            }
            Self::NotInterrupted { others, .. } => Some(format!("interrupted: {}", others.join(", "))),
            Self::NameTaken(_) => Some("use another name; a name belongs to one set of tasks".to_owned()),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::Client(error) => error.hint().map(str::to_owned),
            Self::Interrupted { id, .. } => {
                Some(format!("resume with `mito submit --resume {id}`; no task is submitted twice"))
            }
            Self::Blueprint(_) | Self::Unreadable { .. } | Self::Io { .. } | Self::UnexpectedReply => None,
        }
    }

    /// The message and the hint on one line.
    #[cfg(test)]
    pub(crate) fn full_message(&self) -> String {
        format!("{self} {}", self.hint().unwrap_or_default())
    }
}
