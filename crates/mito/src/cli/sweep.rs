//! What varies from task to task: options that `mito run` and `mito submit` share.

use std::path::PathBuf;

use clap::Args;
use mitosis_domain::sweep::Values;

#[derive(Debug, Args)]
#[command(next_help_heading = "Many tasks at once")]
pub(crate) struct SweepArgs {
    /// Vary a parameter: x=1..10, x=0..100..5, x=a,b,c, or x@FILE with a value on each line. `{x}` in the
    /// command, in variables and in labels stands for it; repeat it for every combination
    #[arg(short = 'F', long = "param", value_name = "NAME=VALUES", value_parser = parameter)]
    pub(crate) params: Vec<Parameter>,
    /// A task for each line of a file, as `{line}`; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) each_line: Option<PathBuf>,
    /// A task for each row of a CSV file; the names in its first row are parameters
    #[arg(long, value_name = "FILE")]
    pub(crate) from_csv: Option<PathBuf>,
    /// Go through all parameters in lockstep, not through every combination
    #[arg(long)]
    pub(crate) zip: bool,
}

/// A parameter as the command line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Values(Values),
    /// A value on each line.
    Lines(PathBuf),
}

/// `NAME=VALUES` or `NAME@FILE`.
fn parameter(text: &str) -> Result<Parameter, String> {
    const SHAPE: &str = "write it as x=1..10, x=a,b,c or x@FILE";
    let at = text.find(['=', '@']).filter(|at| *at > 0).ok_or(SHAPE)?;
    let (name, rest) = (&text[..at], &text[at + 1..]);
    let source = match (text[at..].starts_with('='), rest.is_empty()) {
        (_, true) => return Err(SHAPE.to_owned()),
        (true, false) => Source::Values(Values::parse(rest).map_err(|error| error.to_string())?),
        (false, false) => Source::Lines(PathBuf::from(rest)),
    };
    Ok(Parameter { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_values_or_a_file_of_them() {
        let values = |text: &str| Source::Values(Values::parse(text).unwrap());
        for (text, name, source) in [
            ("x=1..3", "x", values("1..3")),
            ("x=a=b,c@d", "x", values("a=b,c@d")),
            ("x@a=b.txt", "x", Source::Lines("a=b.txt".into())),
            ("x@-", "x", Source::Lines("-".into())),
        ] {
            assert_eq!(parameter(text), Ok(Parameter { name: name.into(), source }), "{text}");
        }
        for wrong in ["x", "=1", "@f", "x=", "x@", ""] {
            assert!(parameter(wrong).is_err(), "{wrong}");
        }
        assert!(parameter("x=0..1..0.1").unwrap_err().contains("0.1,0.2,0.3"));
    }
}
