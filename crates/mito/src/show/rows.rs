//! Writes results that arrive one by one, each as soon as its format allows.

use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;

use serde_json::Value;

use super::format::Format;
use super::output::Output;
use super::record::{Cell, Record};
use super::{cant_write, table, yaml};
use crate::process::failure::Failure;

/// A writer of results. [`Self::finish`] writes what is buffered until the end.
#[must_use = "what had to be kept until the end is written by `finish`"]
pub(crate) struct Rows<'a, T> {
    output: &'a Output,
    writer: Box<dyn Write + 'a>,
    form: Form,
    of: PhantomData<fn(&T)>,
}

enum Form {
    /// The line of the record.
    Line,
    Id,
    Jsonl,
    /// Columns separated by tabs.
    Tabs,
    Csv {
        header: bool,
    },
    /// A table; buffered, as the widths depend on all rows.
    Table(Vec<Vec<Cell>>),
    /// A JSON array, written item by item.
    Json {
        begun: bool,
    },
    /// A YAML document; buffered.
    Yaml(Vec<Value>),
}

impl<'a, T: Record> Rows<'a, T> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self::to(output, Self::stdout(output))
    }

    /// A writer of sentences instead of a table at a terminal.
    pub(super) fn of_sentences(output: &'a Output) -> Self {
        let rows = Self::new(output);
        match rows.form {
            Form::Table(_) if output.format.is_none() => Self { form: Form::Line, ..rows },
            _ => rows,
        }
    }

    /// Standard output, unbuffered at a terminal.
    fn stdout(output: &Output) -> Box<dyn Write> {
        match output.style.terminal {
            true => Box::new(io::stdout()),
            false => Box::new(BufWriter::new(io::stdout())),
        }
    }

    pub(super) fn to(output: &'a Output, writer: Box<dyn Write + 'a>) -> Self {
        let form = match (output.format, output.style.terminal) {
            (None | Some(Format::Table), true) => Form::Table(Vec::new()),
            (None, false) => Form::Line,
            (Some(Format::Table), false) => Form::Tabs,
            (Some(Format::Json), _) => Form::Json { begun: false },
            (Some(Format::Yaml), _) => Form::Yaml(Vec::new()),
            (Some(Format::Jsonl), _) => Form::Jsonl,
            (Some(Format::Csv), _) => Form::Csv { header: false },
            (Some(Format::Id), _) => Form::Id,
        };
        Self { output, writer, form, of: PhantomData }
    }

    /// Writes the next result.
    pub(crate) fn push(&mut self, record: &T) -> Result<(), Failure> {
        let style = &self.output.style;
        let written = match &mut self.form {
            Form::Line => writeln!(self.writer, "{}", record.line(style)),
            Form::Id => writeln!(self.writer, "{}", record.id()),
            Form::Jsonl => serde_json::to_writer(&mut self.writer, record)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(self.writer)),
            Form::Tabs => {
                let cells: Vec<_> =
                    T::TABLE.iter().map(|column| (column.cell)(record).shown(style).0).collect();
                writeln!(self.writer, "{}", cells.join("\t"))
            }
            Form::Csv { header } => {
                let names = (!std::mem::replace(header, true)).then(csv_header::<T>);
                let cells = T::FIELDS.iter().map(|column| (column.cell)(record).raw());
                write!(self.writer, "{}{}", names.unwrap_or_default(), csv_line(cells))
            }
            Form::Table(rows) => {
                rows.push(T::TABLE.iter().map(|column| (column.cell)(record)).collect());
                Ok(())
            }
            Form::Json { begun } => {
                let start = if std::mem::replace(begun, true) { ",\n" } else { "[\n" };
                serde_json::to_string_pretty(record)
                    .map_err(io::Error::from)
                    .and_then(|text| write!(self.writer, "{start}  {}", text.replace('\n', "\n  ")))
            }
            Form::Yaml(values) => {
                serde_json::to_value(record).map(|value| values.push(value)).map_err(Into::into)
            }
        };
        written.map_err(cant_write)
    }

    /// Flushes the results so far, when more may take a while.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(cant_write)
    }

    /// Writes what is buffered.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let written: io::Result<()> = match &self.form {
            Form::Line | Form::Id | Form::Jsonl | Form::Tabs | Form::Csv { header: true } => Ok(()),
            Form::Csv { header: false } => write!(self.writer, "{}", csv_header::<T>()),
            Form::Table(rows) if rows.is_empty() => Ok(()),
            Form::Table(rows) => {
                let titles: Vec<_> =
                    T::TABLE.iter().map(|column| (column.name, column.shrink_priority)).collect();
                write!(self.writer, "{}", table::table(&titles, rows, &self.output.style))
            }
            Form::Json { begun: true } => writeln!(self.writer, "\n]"),
            Form::Json { begun: false } => writeln!(self.writer, "[]"),
            Form::Yaml(values) => write!(self.writer, "{}", yaml::document(&Value::from(values.as_slice()))),
        };
        written.and_then(|()| self.writer.flush()).map_err(cant_write)
    }
}

fn csv_header<T: Record>() -> String {
    csv_line(T::FIELDS.iter().map(|column| column.name.to_owned()))
}

/// A CSV line as in RFC 4180, but with a line feed at the end.
pub(super) fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

/// Formats records as they would be written.
#[cfg(test)]
pub(super) fn written<T: Record>(output: &Output, records: &[T]) -> String {
    let mut bytes = Vec::new();
    let mut rows = Rows::to(output, Box::new(&mut bytes));
    for record in records {
        rows.push(record).unwrap();
    }
    rows.finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_where_needed() {
        let cells = ["plain", "a,b", "say \"x\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(csv_line(cells.into_iter()), "plain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\n");
    }
}
