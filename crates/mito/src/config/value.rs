//! A value of the configuration, and how each place writes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_protocol::duration;

use super::keys::Kind;

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Duration(Duration),
    Path(PathBuf),
    Words(Vec<String>),
    Count(u64),
}

/// Why a value does not fit its key. Never shows the value, which can be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be {0}")]
pub(crate) struct Misfit(&'static str);

fn misfit(kind: Kind) -> Misfit {
    Misfit(match kind {
        Kind::Text => "text",
        Kind::Flag => "true or false",
        Kind::Duration => "a duration such as \"90s\", \"10min\" or \"7d\"",
        Kind::Path => "a path",
        Kind::Words => "a list such as [\"gpu\", \"eu\"]",
        Kind::Count => "a whole number, zero or more",
    })
}

impl Value {
    /// As a person reads it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Duration(time) => duration::short(*time),
            Self::Path(path) => path.display().to_string(),
            Self::Words(words) => format!("[{}]", words.join(", ")),
            Self::Count(count) => count.to_string(),
        }
    }

    /// As a file has it. A path starts from `folder`.
    pub(super) fn from_toml(kind: Kind, value: &toml::Value, folder: &Path) -> Result<Self, Misfit> {
        use toml::Value as T;
        let fitting = match (kind, value) {
            (Kind::Text, T::String(text)) => Some(Self::Text(text.clone())),
            // A password of digits is easily written without quotes.
            (Kind::Text, T::Integer(number)) => Some(Self::Text(number.to_string())),
            (Kind::Flag, T::Boolean(flag)) => Some(Self::Flag(*flag)),
            (Kind::Duration, T::String(text)) => duration::parse(text).ok().map(Self::Duration),
            (Kind::Path, T::String(text)) => Some(Self::Path(folder.join(text))),
            (Kind::Words, T::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Self::Words),
            (Kind::Count, T::Integer(number)) => u64::try_from(*number).ok().map(Self::Count),
            _ => None,
        };
        fitting.ok_or_else(|| misfit(kind))
    }

    /// As an environment variable has it: text may be quoted, lists are in brackets.
    pub(super) fn from_variable(kind: Kind, text: &str) -> Result<Self, Misfit> {
        let text = text.trim();
        let fitting = match kind {
            Kind::Text => Some(Self::Text(unquoted(text).to_owned())),
            Kind::Flag => unquoted(text).to_ascii_lowercase().parse().ok().map(Self::Flag),
            Kind::Duration => duration::parse(unquoted(text)).ok().map(Self::Duration),
            Kind::Path => Some(Self::Path(PathBuf::from(unquoted(text)))),
            Kind::Words => Some(Self::Words(words(text))),
            Kind::Count => unquoted(text).parse().ok().map(Self::Count),
        };
        fitting.ok_or_else(|| misfit(kind))
    }
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

fn words(text: &str) -> Vec<String> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inside.split(',').map(|word| unquoted(word.trim()).to_owned()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_people_write_them() {
        let read = |kind, text| Value::from_variable(kind, text).unwrap();
        assert_eq!(read(Kind::Words, "[gpu,eu]"), Value::Words(vec!["gpu".into(), "eu".into()]));
        assert_eq!(read(Kind::Words, "[\"a b\", 'c']"), Value::Words(vec!["a b".into(), "c".into()]));
        assert_eq!(read(Kind::Words, "gpu"), Value::Words(vec!["gpu".into()]));
        assert_eq!(read(Kind::Words, "[]"), Value::Words(vec![]));
        assert_eq!(read(Kind::Text, "\"12345\""), Value::Text("12345".into()));
        assert_eq!(read(Kind::Text, "12345"), Value::Text("12345".into()));
        assert_eq!(read(Kind::Flag, "TRUE"), Value::Flag(true));
        assert_eq!(read(Kind::Duration, "90s"), Value::Duration(Duration::from_secs(90)));
        assert!(Value::from_variable(Kind::Flag, "perhaps").is_err());
        assert!(Value::from_variable(Kind::Duration, "90").is_err());
    }
}
