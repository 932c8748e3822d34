//! Results whose columns depend on the data, such as a column for each parameter.
//!
//! All records are known before the first line is written; each line is formatted when it is written.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::Value;

use super::format::Format;
use super::output::Output;
use super::record::Cell;
use super::rows::csv_line;
use super::{cant_write, table, yaml};
use crate::process::failure::Failure;

/// A record whose columns depend on all records. The `serde` form is the document for programs.
pub(crate) trait DynamicRecord: Serialize + Sized {
    /// The names that all records have together.
    type Names;

    fn names(all: &[Self]) -> Self::Names;

    /// The titles of the columns.
    fn titles(names: &Self::Names, detail: Detail) -> Vec<String>;

    /// The cells, one for each title.
    fn cells(&self, names: &Self::Names, detail: Detail) -> Vec<Cell>;

    /// The id of the record, as other commands accept it.
    fn id(&self) -> String;
}

/// Which columns are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every column.
    Full,
    /// The most important columns; the last one identifies the row.
    Summary,
}

impl Output {
    /// Writes records with dynamic columns. A pipe gets the titles, too: the columns are not known in advance.
    pub(crate) fn dynamic<T: DynamicRecord>(&self, all: &[T]) -> Result<(), Failure> {
        let mut to = BufWriter::new(io::stdout().lock());
        write(self, all, &mut to).and_then(|()| to.flush()).map_err(cant_write)
    }

    /// Formats records with dynamic columns as the lines of a table.
    pub(crate) fn dynamic_lines<T: DynamicRecord>(&self, all: &[T]) -> Result<Vec<String>, Failure> {
        let mut text = Vec::new();
        write(self, all, &mut text).map_err(cant_write)?;
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }
}

fn write<T: DynamicRecord>(output: &Output, all: &[T], to: &mut impl Write) -> io::Result<()> {
    match (output.format, output.style.terminal) {
        (None | Some(Format::Table), true) if all.is_empty() => Ok(()),
        (None | Some(Format::Table), true) => {
            let names = T::names(all);
            let titles = T::titles(&names, Detail::Summary);
            let rows: Vec<Vec<Cell>> = all.iter().map(|one| one.cells(&names, Detail::Summary)).collect();
            let titles: Vec<_> = titles.iter().map(|title| (title.as_str(), 0)).collect();
            write!(to, "{}", table::table(&titles, &rows, &output.style))
        }
        (None | Some(Format::Table), false) => {
            let names = T::names(all);
            let tabbed = |cells: &[Cell]| {
                cells.iter().map(|cell| cell.shown(&output.style).0).collect::<Vec<_>>().join("\t")
            };
            let titles: Vec<_> = T::titles(&names, Detail::Full).into_iter().map(Cell::Text).collect();
            writeln!(to, "{}", tabbed(&titles))?;
            all.iter().try_for_each(|one| writeln!(to, "{}", tabbed(&one.cells(&names, Detail::Full))))
        }
        (Some(Format::Csv), _) => {
            let names = T::names(all);
            write!(to, "{}", csv_line(T::titles(&names, Detail::Full).into_iter()))?;
            all.iter().try_for_each(|one| {
                write!(to, "{}", csv_line(one.cells(&names, Detail::Full).iter().map(Cell::raw)))
            })
        }
        (Some(Format::Json), _) => {
            serde_json::to_writer_pretty(&mut *to, all)?;
            writeln!(to)
        }
        (Some(Format::Jsonl), _) => all.iter().try_for_each(|one| {
            serde_json::to_writer(&mut *to, one)?;
            writeln!(to)
        }),
        (Some(Format::Yaml), _) => {
            let values = all.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
            write!(to, "{}", yaml::document(&Value::from(values)))
        }
        (Some(Format::Id), _) => all.iter().try_for_each(|one| writeln!(to, "{}", one.id())),
    }
}

/// Formats records as they would be written.
#[cfg(test)]
pub(super) fn written<T: DynamicRecord>(output: &Output, all: &[T]) -> String {
    let mut bytes = Vec::new();
    write(output, all, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
