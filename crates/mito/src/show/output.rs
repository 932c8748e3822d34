//! Writes results and messages.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};

use mitosis_protocol::Timestamp;
use serde::Serialize;

use super::format::{Format, OutputArgs};
use super::progress::Progress;
use super::record::{Fact, Record};
use super::rows::Rows;
use super::style::{TerminalStyle, Tone};
use super::{cant_write, yaml};
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The width of the name of a fact.
const NAME: usize = 11;

/// The output settings of a command.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(super) format: Option<Format>,
    pub(super) style: TerminalStyle,
    quiet: bool,
    /// Whether standard error is a terminal.
    watched: bool,
}

impl Output {
    /// The output for this process.
    pub(crate) fn new(args: &OutputArgs, environment: &Environment) -> Self {
        Self {
            format: args.format,
            style: TerminalStyle::detect(environment),
            quiet: args.quiet,
            watched: io::stderr().is_terminal(),
        }
    }

    /// A copy for output that is redrawn: ages are relative to now, and lines fit the present size of the terminal.
    /// `past` is a lower bound of now, as other clocks may be ahead.
    pub(crate) fn again(&self, past: Timestamp) -> Self {
        Self { style: self.style.again(past), ..self.clone() }
    }

    /// The width of the terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        self.style.width
    }

    /// Formats records as the lines of a table.
    pub(crate) fn lines<'a, T: Record + 'a>(
        &self,
        records: impl IntoIterator<Item = &'a T>,
    ) -> Result<Vec<String>, Failure> {
        let mut text = Vec::new();
        let mut rows = Rows::to(self, Box::new(&mut text));
        records.into_iter().try_for_each(|record| rows.push(record))?;
        rows.finish()?;
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }

    /// Writes a message about what was done to standard error.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.quiet {
            note!("{text}");
        }
    }

    /// Writes a hint to standard error, if that is a terminal.
    pub(crate) fn hint(&self, text: impl Display) {
        if self.shows_progress() {
            note!("  hint: {text}");
        }
    }

    /// Writes a sentence before or between results; not for programs.
    pub(crate) fn heading(&self, text: impl Display) -> Result<(), Failure> {
        match self.format {
            None => super::line(text),
            Some(_) => Ok(()),
        }
    }

    /// Whether messages are suppressed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results are shown as a table on a terminal.
    pub(crate) fn is_watched(&self) -> bool {
        self.style.terminal && !self.is_for_programs()
    }

    /// Whether results have a format for programs.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.format.is_some_and(|format| format != Format::Table)
    }

    /// Refuses an output format for a command whose results have none; `why` says what they are.
    pub(crate) fn require_no_format(&self, command: &str, why: &str) -> Result<(), Failure> {
        match self.format {
            Some(_) => Err(Failure::new(Exit::Usage, format!("{command} has no output formats: {why}"))
                .with_hint("leave out `-o` (`--format`)")),
            None => Ok(()),
        }
    }

    /// Writes all fields of one record.
    pub(crate) fn one<T: Record>(&self, record: &T) -> Result<(), Failure> {
        match self.format {
            None | Some(Format::Table) => super::line(self.block(record)),
            Some(Format::Json | Format::Yaml) => self.document(record),
            Some(Format::Jsonl | Format::Csv | Format::Id) => self.all([record]),
        }
    }

    /// Writes a document without columns.
    fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        let text = match self.format {
            Some(Format::Yaml) => {
                serde_json::to_value(document).map(|value| yaml::document(&value).to_string())
            }
            _ => serde_json::to_string_pretty(document).map(|text| format!("{text}\n")),
        };
        text.map_err(io::Error::from)
            .and_then(|text| io::stdout().lock().write_all(text.as_bytes()))
            .map_err(cant_write)
    }

    /// Writes a sentence for people, or a record for programs.
    pub(crate) fn outcome<T: Record>(&self, sentence: impl Display, outcome: &T) -> Result<(), Failure> {
        match self.is_for_programs() {
            true => self.one(outcome),
            false => super::line(sentence),
        }
    }

    /// Writes one record as its line.
    pub(crate) fn one_line<T: Record>(&self, record: &T) -> Result<(), Failure> {
        self.outcome(record.line(&self.style), record)
    }

    /// Writes a count.
    pub(crate) fn count(&self, count: u64, thing: &str) -> Result<(), Failure> {
        match self.is_for_programs() {
            true => self.one(&super::Count { count }),
            false => super::line(format_args!("Found {}", super::pluralized(count, thing))),
        }
    }

    /// Writes a count before the records; not for programs.
    pub(crate) fn found(&self, count: u64, thing: &str) -> Result<(), Failure> {
        self.heading(format_args!("Found {}", super::pluralized(count, thing)))
    }

    /// Writes many records, one line each.
    pub(crate) fn all<'a, T: Record>(&self, records: impl IntoIterator<Item = &'a T>) -> Result<(), Failure> {
        let mut rows = self.rows();
        records.into_iter().try_for_each(|record| rows.push(record))?;
        rows.finish()
    }

    /// Writes all fields of many records.
    pub(crate) fn each<'a, T: Record>(
        &self,
        records: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), Failure> {
        match self.is_for_programs() {
            true => self.all(records),
            false => records.into_iter().enumerate().try_for_each(|(place, record)| {
                let gap = if place == 0 { "" } else { "\n" };
                super::line(format_args!("{gap}{}", self.block(record)))
            }),
        }
    }

    /// A writer for results that arrive one by one.
    pub(crate) fn rows<T: Record>(&self) -> Rows<'_, T> {
        Rows::new(self)
    }

    /// A writer for results that arrive one by one, with a sentence each instead of a table at a terminal.
    pub(crate) fn sentences<T: Record>(&self) -> Rows<'_, T> {
        Rows::of_sentences(self)
    }

    /// A progress bar in bytes.
    pub(crate) fn bytes_progress(&self, total: u64) -> Progress {
        Progress::of_bytes(self.shows_progress(), total)
    }

    /// A progress bar in items.
    pub(crate) fn count_progress(&self, total: u64, what: &'static str) -> Progress {
        Progress::of_things(self.shows_progress(), total, what)
    }

    /// A counter without a known total.
    pub(crate) fn growing_progress(&self, what: &'static str) -> Progress {
        Progress::of_unknown(self.shows_progress(), what)
    }

    fn shows_progress(&self) -> bool {
        self.watched && !self.quiet
    }

    fn block<T: Record>(&self, record: &T) -> impl Display {
        self.facts(record.facts())
    }

    fn facts(&self, facts: Vec<Fact>) -> impl Display {
        fmt::from_fn(move |f| {
            facts.iter().enumerate().try_for_each(|(place, (name, cell))| {
                let (text, tone) = cell.shown(&self.style);
                let name = self.style.paint(&format!("{name:<NAME$}"), Tone::Dim);
                let line = format!("{name} {}", self.style.paint(&text, tone));
                write!(f, "{}{}", if place == 0 { "" } else { "\n" }, line.trim_end())
            })
        })
    }
}

#[cfg(test)]
impl Output {
    pub(crate) fn at_a_terminal(width: usize) -> Self {
        let still = Self::fixed(None, true);
        Self { style: TerminalStyle { width: Some(width), ..still.style }, ..still }
    }

    pub(super) fn fixed(format: Option<Format>, terminal: bool) -> Self {
        Self { format, style: TerminalStyle::fixed(terminal), quiet: false, watched: false }
    }

    pub(super) fn one_as_text<T: Record>(&self, record: &T) -> String {
        self.block(record).to_string()
    }
}
