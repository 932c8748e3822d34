//! Automatic retries of the tasks of a job. Native.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::duration;

/// Most further attempts of a task.
pub const MAX_RETRIES: u32 = 1_000;

/// The longest wait between two attempts.
pub const MAX_BACKOFF: Duration = Duration::from_hours(7 * 24);

/// When tasks of a job get further attempts by themselves. Attempts that are lost with their worker don't count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryPolicy {
    /// Further attempts of a task that failed, at most [`MAX_RETRIES`].
    pub retries: u32,
    /// Only after a failure with one of these causes; empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!(["exit=1,75-78", "timeout"]))]
    pub on: Vec<RetryCause>,
    /// The wait before the first retry; it doubles with each.
    #[serde(default, with = "duration::text")]
    #[schema(value_type = String, example = "5s")]
    pub backoff: Duration,
    /// The longest wait.
    #[serde(default = "longest_backoff", with = "duration::text")]
    #[schema(value_type = String, example = "5m")]
    pub max_backoff: Duration,
}

const fn longest_backoff() -> Duration {
    MAX_BACKOFF
}

/// A cause of a failure: `exit`, `exit=1,75-78`, `signal`, `timeout`, `start`, `output`, `oom` or `any`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RetryCause {
    /// The command exited with one of these codes: ranges with both ends included. Without ranges, with any but 0.
    Exit(Vec<(u8, u8)>),
    /// A signal ended the command.
    Signal,
    /// The command reached its timeout.
    Timeout,
    /// The command did not start, for example because an input was missing.
    Start,
    /// The output could not be stored, or was too long.
    Output,
    /// The command used more memory than it may.
    Oom,
    /// Any failure.
    Any,
}

/// A text that is not a cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid cause `{0}`: expected exit, exit=CODES such as exit=1,75-78, signal, timeout, start, output, oom or any"
)]
pub struct InvalidRetryCause(String);

impl FromStr for RetryCause {
    type Err = InvalidRetryCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let codes = |codes: &str| codes.split(',').map(range).collect::<Option<Vec<_>>>();
        let cause = match text.split_once('=') {
            Some(("exit", list)) => codes(list).map(Self::Exit),
            Some(_) => None,
            None => match text {
                "exit" => Some(Self::Exit(Vec::new())),
                "signal" => Some(Self::Signal),
                "timeout" => Some(Self::Timeout),
                "start" => Some(Self::Start),
                "output" => Some(Self::Output),
                "oom" => Some(Self::Oom),
                "any" => Some(Self::Any),
                _ => None,
            },
        };
        cause.ok_or_else(|| InvalidRetryCause(text.to_owned()))
    }
}

/// A code, or a range of codes such as `75-78`. Code 0 is no failure.
fn range(text: &str) -> Option<(u8, u8)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from > 0 && from <= to).then_some((from, to))
}

impl fmt::Display for RetryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Exit(codes) if codes.is_empty() => "exit",
            Self::Exit(codes) => {
                let codes = codes.iter().map(|(from, to)| match from == to {
                    true => from.to_string(),
                    false => format!("{from}-{to}"),
                });
                return write!(f, "exit={}", codes.collect::<Vec<_>>().join(","));
            }
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Start => "start",
            Self::Output => "output",
            Self::Oom => "oom",
            Self::Any => "any",
        };
        f.write_str(word)
    }
}

impl TryFrom<String> for RetryCause {
    type Error = InvalidRetryCause;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RetryCause> for String {
    fn from(cause: RetryCause) -> Self {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_as_they_are_written() {
        for text in ["exit", "exit=1", "exit=1,75-78", "signal", "timeout", "start", "output", "oom", "any"] {
            assert_eq!(text.parse::<RetryCause>().unwrap().to_string(), text);
        }
        for wrong in ["", "exit=", "exit=0", "exit=256", "exit=3-1", "exit=1,", "signal=9", "lost", "Exit"] {
            let error = wrong.parse::<RetryCause>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }

    #[test]
    fn policy_needs_only_a_number() {
        let policy: RetryPolicy = serde_json::from_str(r#"{"retries": 3}"#).unwrap();
        assert_eq!(
            policy,
            RetryPolicy { retries: 3, on: Vec::new(), backoff: Duration::ZERO, max_backoff: MAX_BACKOFF }
        );
        let json = r#"{"retries":3,"on":["exit=1,75-78","timeout"],"backoff":"5s","max_backoff":"5m"}"#;
        let policy: RetryPolicy = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        assert!(serde_json::from_str::<RetryPolicy>(r#"{"retries": 3, "on": ["never"]}"#).is_err());
    }
}
