//! The result of a check.

use std::error::Error;

use serde::{Serialize, Serializer};

use crate::process::exit::Exit;
use crate::show::record::{Cell, Column, Fact, Record};
use crate::show::style::{TerminalStyle, Tone};
use crate::show::text::escaped;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    text: String,
    hint: Option<String>,
}

/// The severity of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// It works, but could be improved or will fail later.
    Warn,
    /// It does not work; the process exits with this code.
    Fail(Exit),
    /// Not checked: it does not apply, or an earlier check has failed.
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

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
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

    /// Adds a hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The exit code of a failure.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.verdict {
            Verdict::Fail(exit) => Some(exit),
            Verdict::Ok | Verdict::Warn | Verdict::Skip => None,
        }
    }

    #[cfg(test)]
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl Finding {
    fn toned(&self) -> Cell {
        let tone = match self.verdict {
            Verdict::Ok => Tone::Good,
            Verdict::Warn => Tone::Busy,
            Verdict::Fail(_) => Tone::Bad,
            Verdict::Skip => Tone::Dim,
        };
        Cell::Toned(self.verdict.word().to_owned(), tone)
    }

    fn hinted(&self) -> Cell {
        self.hint.clone().map_or(Cell::Nothing, Cell::Text)
    }
}

impl Record for Finding {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("verdict", Self::toned),
        Column::new("check", |finding| Cell::text(finding.check)),
        Column::new("text", |finding| Cell::text(&finding.text)),
        Column::new("hint", Self::hinted),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("check", |finding| Cell::text(finding.check)),
        Column::new("verdict", Self::toned),
        Column::new("text", |finding| Cell::text(&finding.text)),
        Column::new("hint", Self::hinted),
    ];

    fn id(&self) -> String {
        self.check.to_owned()
    }

    /// Formats the result on one line, and the hint on another.
    fn line(&self, style: &TerminalStyle) -> String {
        let (word, tone) = self.toned().shown(style);
        let word = style.paint(&format!("{word:<5}"), tone);
        let line = format!("{word} {:<16} {}", self.check, escaped(&self.text));
        match &self.hint {
            Some(hint) => format!("{line}\n{:23}hint: {}", "", escaped(hint)),
            None => line,
        }
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("check", Cell::text(self.check)), ("verdict", self.toned()), ("text", Cell::text(&self.text))]
    }
}

#[cfg(test)]
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hint = self.hint.as_deref().unwrap_or_default();
        write!(f, "{} {}: {} {hint}", self.verdict.word(), self.check, self.text)
    }
}

/// Formats an error and its causes on one line, without repetitions.
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
