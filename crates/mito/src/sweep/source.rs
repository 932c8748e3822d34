//! From options to what varies: reads the files that they name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use mitosis_domain::sweep::{Column, Factor, Plan, Values};

use crate::cli::sweep::{Parameter, Source, SweepArgs};
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The parameter of `--each-line`.
pub(super) const LINE: &str = "line";

/// Everything that varies: lines first, then rows, then parameters in their order. The last changes
/// fastest.
pub(crate) fn plan(args: &SweepArgs) -> Result<Plan, Failure> {
    refuse_two_readers(args)?;
    let mut factors = Vec::new();
    if let Some(file) = &args.each_line {
        factors.push(Factor::new(vec![lines(LINE, file)?])?);
    }
    if let Some(file) = &args.from_csv {
        factors.push(rows(file)?);
    }
    for Parameter { name, source } in &args.params {
        let column = match source {
            Source::Values(values) => Column::new(name, values.clone())?,
            Source::Lines(file) => lines(name, file)?,
        };
        factors.push(Factor::new(vec![column])?);
    }
    Ok(if args.zip { Plan::zip(factors)? } else { Plan::product(factors)? })
}

/// A parameter with a value on each line; empty lines are none.
pub(super) fn lines(name: &str, file: &Path) -> Result<Column, Failure> {
    let text = text(file)?;
    let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err(Failure::new(Exit::Usage, format!("{} has no lines", file.display()))),
        false => Ok(Column::new(name, Values::Words(lines))?),
    }
}

/// A parameter for each name in the first row, with a value in each further row.
pub(super) fn rows(file: &Path) -> Result<Factor, Failure> {
    let text = text(file)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    refuse_empty_lines(&text, file)?;
    let unreadable = |error: csv::Error| {
        Failure::new(Exit::Usage, format!("{} is no table: {error}", file.display()))
            .with_hint("the first row has the names, and every other row as many values")
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
        return Err(Failure::new(Exit::Usage, format!("{} has no rows", file.display()))
            .with_hint("the first row has the names of the parameters, the others have their values"));
    }
    let columns = names.iter().zip(columns).map(|(name, values)| Column::new(name, Values::Words(values)));
    Ok(Factor::new(columns.collect::<Result<_, _>>()?)?)
}

/// In a table with one column, an empty line could be an empty value, or nothing at all.
fn refuse_empty_lines(text: &str, file: &Path) -> Result<(), Failure> {
    let is_one_column = text.lines().next().is_some_and(|names| !names.contains(','));
    match text.trim_end().lines().position(str::is_empty).filter(|_| is_one_column) {
        Some(place) => {
            Err(Failure::new(Exit::Usage, format!("{}, line {}: a line is empty", file.display(), place + 1))
                .with_hint("write \"\" for an empty value, or remove the line"))
        }
        None => Ok(()),
    }
}

/// All of a text file. A mark that an editor puts at its start is no part of the first value.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match is_stdin(file) {
        true => io::stdin().lock().read_to_string(&mut text),
        false => File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    match read {
        Ok(_) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::new(Exit::Usage, format!("{} is not UTF-8 text", file.display()))
                .with_hint("save it as UTF-8; `iconv -f UTF-16 -t UTF-8` converts what PowerShell writes"))
        }
        Err(error) => Err(Failure::unreadable(file, error)),
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn refuse_two_readers(args: &SweepArgs) -> Result<(), Failure> {
    let in_params = args.params.iter().filter_map(|parameter| match &parameter.source {
        Source::Lines(file) => Some(file),
        Source::Values(_) => None,
    });
    let files = args.each_line.iter().chain(&args.from_csv).chain(in_params);
    match files.filter(|file| is_stdin(file)).count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::new(Exit::Usage, "standard input can only be read once")
            .with_hint("use `-` for one parameter, and files for the others")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn args() -> SweepArgs {
        SweepArgs { params: Vec::new(), each_line: None, from_csv: None, zip: false }
    }

    fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn parameter(name: &str, values: &str) -> Parameter {
        Parameter { name: name.into(), source: Source::Values(Values::parse(values).unwrap()) }
    }

    fn combinations(args: &SweepArgs) -> Vec<String> {
        let plan = plan(args).unwrap();
        (0..plan.len()).map(|index| plan.row(index).join("|")).collect()
    }

    #[test]
    fn lines_and_rows_vary_more_slowly_than_parameters() {
        let folder = tempfile::tempdir().unwrap();
        let args = SweepArgs {
            each_line: Some(file(&folder, "lines", "a b\r\n\nc\n")),
            from_csv: Some(file(&folder, "rows.csv", "\u{feff}rate, name\n0.1,\"x,y\"\n")),
            params: vec![parameter("n", "1..2")],
            ..args()
        };
        assert_eq!(plan(&args).unwrap().names().collect::<Vec<_>>(), ["line", "rate", "name", "n"]);
        assert_eq!(combinations(&args), ["a b|0.1|x,y|1", "a b|0.1|x,y|2", "c|0.1|x,y|1", "c|0.1|x,y|2"]);
    }

    #[test]
    fn in_lockstep_files_must_be_as_long_as_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let each_line = Some(file(&folder, "lines", "a\nb\n"));
        let fits = SweepArgs { each_line, params: vec![parameter("n", "1..2")], zip: true, ..args() };
        assert_eq!(combinations(&fits), ["a|1", "b|2"]);
        let longer = SweepArgs { params: vec![parameter("n", "1..3")], ..fits };
        assert!(plan(&longer).unwrap_err().to_string().contains("`line` has 2 values and `n` has 3"));
    }

    #[test]
    fn a_file_without_anything_in_it_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n\n"] {
            let path = file(&folder, "lines", text);
            assert_eq!(lines("x", &path).unwrap_err().exit(), Exit::Usage, "{text:?}");
        }
        for text in ["", "a,b\n", "a,b\n1\n", "a,\n1,2\n"] {
            let path = file(&folder, "rows.csv", text);
            assert_eq!(rows(&path).unwrap_err().exit(), Exit::Usage, "{text:?}");
        }
        let gone = lines("x", Path::new("/nowhere/x")).unwrap_err();
        assert_eq!(gone.exit(), Exit::NotFound);
    }

    #[test]
    fn cells_and_lines_keep_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let table = "\u{feff}a,b\r\n012, x \r\n1.0,\"say \"\"hi\"\"\"\r\nNO,18446744073709551615";
        let args = SweepArgs { from_csv: Some(file(&folder, "rows.csv", table)), ..args() };
        assert_eq!(combinations(&args), ["012| x ", "1.0|say \"hi\"", "NO|18446744073709551615"]);
        let args = SweepArgs {
            from_csv: None,
            each_line: Some(file(&folder, "lines", "\u{feff}012\r\n  1_000 \n\n#x\nNO")),
            ..args
        };
        assert_eq!(combinations(&args), ["012", "  1_000 ", "#x", "NO"]);
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
        let twice = SweepArgs { each_line: Some("-".into()), from_csv: Some("-".into()), ..args() };
        assert!(plan(&twice).unwrap_err().to_string().contains("once"));
    }
}
