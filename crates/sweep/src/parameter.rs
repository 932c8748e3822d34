//! Parses the parameters of the command line.

use std::path::PathBuf;
use std::str::FromStr;

use mitosis_blueprint::Values;

/// A parameter and the source of its values: `NAME=VALUES` or `NAME@FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name of the parameter.
    pub name: String,
    /// The source of its values.
    pub source: ParameterSource,
}

/// The source of the values of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterSource {
    /// Values from the command line.
    Values(Values),
    /// A file with a value on each line; `-` is standard input.
    Lines(PathBuf),
}

impl FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected NAME=VALUES or NAME@FILE, such as x=1..10, x=a,b,c or x@values.txt";
        let at = text.find(['=', '@']).filter(|at| *at > 0).ok_or(FORM)?;
        let (name, rest) = (&text[..at], &text[at + 1..]);
        let source = match (text[at..].starts_with('='), rest.is_empty()) {
            (_, true) => return Err(FORM.to_owned()),
            (true, false) => ParameterSource::Values(Values::parse(rest).map_err(|error| error.to_string())?),
            (false, false) => ParameterSource::Lines(PathBuf::from(rest)),
        };
        Ok(Self { name: name.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_has_values_or_a_file() {
        let values = |text: &str| ParameterSource::Values(Values::parse(text).expect("values"));
        for (text, name, source) in [
            ("x=1..3", "x", values("1..3")),
            ("x=a=b,c@d", "x", values("a=b,c@d")),
            ("x@a=b.txt", "x", ParameterSource::Lines("a=b.txt".into())),
            ("x@-", "x", ParameterSource::Lines("-".into())),
        ] {
            assert_eq!(text.parse(), Ok(Parameter { name: name.into(), source }), "{text}");
        }
        for wrong in ["x", "=1", "@f", "x=", "x@", ""] {
            assert!(wrong.parse::<Parameter>().is_err(), "{wrong}");
        }
        let error = "x=0..1..0.1".parse::<Parameter>().expect_err("not integers");
        assert!(error.contains("0.1,0.2,0.3"), "{error}");
    }
}
