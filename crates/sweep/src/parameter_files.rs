//! Reads the parameters of a sweep from options and files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use mitosis_blueprint::{Column, Factor, Plan, Values};

use super::error::Error;
use super::parameter::{Parameter, ParameterSource};

/// The name of the parameter of `--each-line`.
pub(super) const LINE: &str = "line";

/// The sources of the parameters of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Parameters with their values.
    pub params: &'a [Parameter],
    /// A file with a value of `line` on each line; `-` is standard input.
    pub each_line: Option<&'a Path>,
    /// A CSV file: a parameter per column, named in the first row.
    pub from_csv: Option<&'a Path>,
    /// How the parameters are combined.
    pub combine: Combine,
}

/// How parameters are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Every combination.
    Product,
    /// The first value of each, then the second of each.
    Zip,
}

impl Combine {
    pub(super) fn plan(self, factors: Vec<Factor>) -> Result<Plan, Error> {
        Ok(match self {
            Self::Product => Plan::product(factors)?,
            Self::Zip => Plan::zip(factors)?,
        })
    }
}

impl Sources<'_> {
    /// Reads the files. The order is: lines, CSV rows, other parameters; the last one changes fastest.
    pub fn plan(self) -> Result<Plan, Error> {
        self.check_stdin_is_read_once()?;
        let mut factors = Vec::new();
        if let Some(file) = self.each_line {
            factors.push(Factor::new(vec![lines(LINE, file)?])?);
        }
        if let Some(file) = self.from_csv {
            factors.push(rows(file)?);
        }
        for Parameter { name, source } in self.params {
            let column = match source {
                ParameterSource::Values(values) => Column::new(name, values.clone())?,
                ParameterSource::Lines(file) => lines(name, file)?,
            };
            factors.push(Factor::new(vec![column])?);
        }
        self.combine.plan(factors)
    }

    /// How many parameters are read from standard input.
    pub fn readers_of_standard_input(&self) -> usize {
        let in_params = self.params.iter().filter_map(|parameter| match &parameter.source {
            ParameterSource::Lines(file) => Some(file.as_path()),
            ParameterSource::Values(_) => None,
        });
        let files = self.each_line.into_iter().chain(self.from_csv).chain(in_params);
        files.filter(|file| is_stdin(file)).count()
    }

    fn check_stdin_is_read_once(&self) -> Result<(), Error> {
        match self.readers_of_standard_input() {
            0 | 1 => Ok(()),
            _ => Err(Error::input("standard input can only be read once")
                .with_hint("use `-` for one parameter, and files for the others")),
        }
    }
}

/// Reads a parameter with a value on each line. Empty lines are skipped.
pub(super) fn lines(name: &str, file: &Path) -> Result<Column, Error> {
    let text = text(file)?;
    let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err(Error::input(format!("{} has no lines", file.display()))
            .with_hint("each line that is not empty is a value")),
        false => Ok(Column::new(name, Values::words(lines))?),
    }
}

/// Reads a CSV file: the first row has the parameter names, each other row has their values.
pub(super) fn rows(file: &Path) -> Result<Factor, Error> {
    let text = text(file)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    refuse_empty_lines(&text, file)?;
    let unreadable = |error: csv::Error| {
        Error::input(format!("invalid CSV file {}{}", file.display(), csv_problem(&error)))
            .with_hint("the first row has the parameter names; all rows need the same number of values")
    };
    let names: Vec<String> =
        reader.headers().map_err(unreadable)?.iter().map(|name| name.trim().to_owned()).collect();
    let mut columns = vec![Vec::new(); names.len()];
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        for (column, value) in columns.iter_mut().zip(&row) {
            column.push(value.to_owned());
        }
    }
    if columns.first().is_none_or(Vec::is_empty) {
        return Err(Error::input(format!("{} has no rows", file.display()))
            .with_hint("the first row has the parameter names, each other row has their values"));
    }
    let columns = names.iter().zip(columns).map(|(name, values)| Column::new(name, Values::words(values)));
    Ok(Factor::new(columns.collect::<Result<_, _>>()?)?)
}

/// The position and the problem of an invalid row.
fn csv_problem(error: &csv::Error) -> String {
    let line = error.position().map(|position| format!(", line {}", position.line())).unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}: expected {expected_len} values, found {len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}: not UTF-8"),
        _ => format!("{line}: {error}"),
    }
}

/// Refuses empty lines in a CSV file with one column: they could be an empty value or no value.
fn refuse_empty_lines(text: &str, file: &Path) -> Result<(), Error> {
    let is_one_column = text.lines().next().is_some_and(|names| !names.contains(','));
    match text.trim_end().lines().position(str::is_empty).filter(|_| is_one_column) {
        Some(place) => Err(Error::input(format!("{}, line {}: empty line", file.display(), place + 1))
            .with_hint("write \"\" for an empty value, or remove the line")),
        None => Ok(()),
    }
}

/// The longest text that is read: a column of ten million values fits.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Reads a text file. A byte order mark at its start is skipped.
pub(super) fn text(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = match is_stdin(file) {
        true => io::stdin().lock().take(MAX_TEXT_BYTES + 1).read_to_string(&mut text),
        false => File::open(file).and_then(|file| file.take(MAX_TEXT_BYTES + 1).read_to_string(&mut text)),
    };
    match read {
        Ok(read) if read as u64 > MAX_TEXT_BYTES => {
            Err(Error::input(format!("{} has more than {} MiB", file.display(), MAX_TEXT_BYTES >> 20)))
        }
        Ok(_) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Error::input(format!("{} is not UTF-8 text", file.display()))
                .with_hint("convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"))
        }
        Err(source) => Err(Error::Unreadable { path: file.to_owned(), source }),
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    #[derive(Default)]
    struct Given {
        params: Vec<Parameter>,
        each_line: Option<PathBuf>,
        from_csv: Option<PathBuf>,
        zip: bool,
    }

    fn plan(given: &Given) -> Result<Plan, Error> {
        let Given { params, each_line, from_csv, zip } = given;
        let combine = if *zip { Combine::Zip } else { Combine::Product };
        let (each_line, from_csv) = (each_line.as_deref(), from_csv.as_deref());
        Sources { params, each_line, from_csv, combine }.plan()
    }

    fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn parameter(name: &str, values: &str) -> Parameter {
        Parameter { name: name.into(), source: ParameterSource::Values(Values::parse(values).unwrap()) }
    }

    fn combinations(given: &Given) -> Vec<String> {
        let plan = plan(given).unwrap();
        (0..plan.len()).map(|index| plan.row(index).join("|")).collect()
    }

    #[test]
    fn lines_and_rows_vary_more_slowly_than_parameters() {
        let folder = tempfile::tempdir().unwrap();
        let args = Given {
            each_line: Some(file(&folder, "lines", "a b\r\n\nc\n")),
            from_csv: Some(file(&folder, "rows.csv", "\u{feff}rate, name\n0.1,\"x,y\"\n")),
            params: vec![parameter("n", "1..2")],
            ..Given::default()
        };
        assert_eq!(plan(&args).unwrap().names().collect::<Vec<_>>(), ["line", "rate", "name", "n"]);
        assert_eq!(combinations(&args), ["a b|0.1|x,y|1", "a b|0.1|x,y|2", "c|0.1|x,y|1", "c|0.1|x,y|2"]);
    }

    #[test]
    fn zip_needs_equal_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let each_line = Some(file(&folder, "lines", "a\nb\n"));
        let fits = Given { each_line, params: vec![parameter("n", "1..2")], zip: true, ..Given::default() };
        assert_eq!(combinations(&fits), ["a|1", "b|2"]);
        let longer = Given { params: vec![parameter("n", "1..3")], ..fits };
        assert!(plan(&longer).unwrap_err().to_string().contains("`line` has 2 values and `n` has 3"));
    }

    #[test]
    fn empty_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n\n"] {
            let path = file(&folder, "lines", text);
            assert!(matches!(lines("x", &path), Err(Error::Input { .. })), "{text:?}");
        }
        for text in ["", "a,b\n", "a,b\n1\n", "a,\n1,2\n"] {
            let path = file(&folder, "rows.csv", text);
            assert!(matches!(rows(&path), Err(Error::Input { .. } | Error::Blueprint(_))), "{text:?}");
        }
        let missing = lines("x", Path::new("/nowhere/x"));
        assert!(matches!(missing, Err(Error::Unreadable { .. })), "{missing:?}");
    }

    #[test]
    fn cells_and_lines_are_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let table = "\u{feff}a,b\r\n012, x \r\n1.0,\"say \"\"hi\"\"\"\r\nNO,18446744073709551615";
        let args = Given { from_csv: Some(file(&folder, "rows.csv", table)), ..Given::default() };
        assert_eq!(combinations(&args), ["012| x ", "1.0|say \"hi\"", "NO|18446744073709551615"]);
        let args = Given {
            from_csv: None,
            each_line: Some(file(&folder, "lines", "\u{feff}012\r\n  1_000 \n\n#x\nNO")),
            ..args
        };
        assert_eq!(combinations(&args), ["012", "  1_000 ", "#x", "NO"]);
        let unequal = rows(&file(&folder, "unequal.csv", "a,b\n1,2\n3\n")).unwrap_err().to_string();
        assert!(unequal.ends_with("unequal.csv, line 3: expected 2 values, found 1"), "{unequal}");
        let one =
            |text: &str| rows(&file(&folder, "one.csv", text)).map(|_| ()).map_err(|error| error.to_string());
        assert!(one("x\na\n\nb\n").unwrap_err().contains("line 3"));
        assert_eq!(one("x\na\n\"\"\nb\n\n"), Ok(()));
        let path = folder.path().join("utf16");
        std::fs::write(&path, b"\xff\xfea\0\n\0").unwrap();
        assert!(lines("x", &path).unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn standard_input_is_read_once() {
        let twice = Given { each_line: Some("-".into()), from_csv: Some("-".into()), ..Given::default() };
        assert!(plan(&twice).unwrap_err().to_string().contains("once"));
    }
}
