//! What a check came to.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};

use crate::exit::Exit;

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    text: String,
    hint: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// It works, and could be better or will not work for long.
    Warn,
    /// Something does not work; the process ends with this code.
    Fail(Exit),
    /// It could not be looked at, for a reason that is no fault or was told before.
    Skip,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
            Self::Skip => "skip",
        }
    }
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { check, verdict, text: text.into(), hint: None }
    }

    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, text)
    }

    pub(super) fn warn(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warn, text)
    }

    pub(super) fn fail(check: &'static str, exit: Exit, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fail(exit), text)
    }

    pub(super) fn skip(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skip, text)
    }

    /// Adds what can be done about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The code of a failure.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.verdict {
            Verdict::Fail(exit) => Some(exit),
            Verdict::Ok | Verdict::Warn | Verdict::Skip => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"check": self.check, "verdict": self.verdict.word(), "text": self.text, "hint": self.hint})
    }

    #[cfg(test)]
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:<16} {}", self.verdict.word(), self.check, self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\n{:23}hint: {hint}", ""),
            None => Ok(()),
        }
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let sentence = cause.to_string();
        if !text.contains(&sentence) {
            text.push_str(": ");
            text.push_str(&sentence);
        }
        next = cause.source();
    }
    text
}
