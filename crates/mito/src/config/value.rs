//! Parses configuration values from files and environment variables.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use mitosis_domain::resources::parse_size;
use mitosis_protocol::duration;
use toml::de::DeValue;

use super::keys::Kind;

/// A typed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Duration(Duration),
    Path(PathBuf),
    Words(Vec<String>),
    Slots(Slots),
    Delay(Delay),
    Size(Size),
}

/// After how long something is done, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    After(Duration),
    Off,
}

impl FromStr for Delay {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "off" => Ok(Self::Off),
            time => duration::parse(time).map(Self::After).map_err(|_| invalid_value(Kind::Delay)),
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(time) => f.write_str(&duration::short(*time)),
            Self::Off => f.write_str("off"),
        }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// Binary units, in bytes.
const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

impl FromStr for Size {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        parse_size(text).map(Self).map_err(|_| invalid_value(Kind::Size))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().rev().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match binary {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => self.0.fmt(f),
        }
    }
}

/// The number of slots of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// One slot for each processor.
    Auto,
    Count(u64),
}

impl FromStr for Slots {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number.parse().map(Self::Count).map_err(|_| invalid_value(Kind::Slots)),
        }
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// The error for a value of the wrong kind. Never shows the value, which can be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub(crate) struct InvalidValue(&'static str);

fn invalid_value(kind: Kind) -> InvalidValue {
    InvalidValue(match kind {
        Kind::Text => "text",
        Kind::Flag => "true or false",
        Kind::Duration => "a duration such as \"90s\", \"10min\" or \"7d\"",
        Kind::Path => "a path",
        Kind::Words => "a list such as [\"gpu\", \"eu\"]",
        Kind::Slots => "a number of tasks, or `auto` for one per CPU",
        Kind::Delay => "a duration such as \"90s\", \"10min\" or \"7d\", or \"off\"",
        Kind::Size => "a size such as \"64MiB\", \"1GB\" or a number of bytes",
    })
}

impl Value {
    /// Formats the value for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Duration(time) => duration::short(*time),
            Self::Path(path) => path.display().to_string(),
            Self::Words(words) => format!("[{}]", words.join(", ")),
            Self::Slots(slots) => slots.to_string(),
            Self::Delay(delay) => delay.to_string(),
            Self::Size(size) => size.to_string(),
        }
    }

    /// Reads a value from a file; `written` is its text there. A relative path starts at `folder`.
    pub(super) fn from_toml(
        kind: Kind,
        value: &DeValue<'_>,
        written: &str,
        folder: &Path,
    ) -> Result<Self, InvalidValue> {
        use DeValue as T;
        let fitting = match (kind, value) {
            (Kind::Text, T::String(text)) => Some(Self::Text(text.to_string())),
            // A password of digits may be written without quotes, and can have any length.
            (Kind::Text, T::Integer(_)) => Some(Self::Text(written.to_owned())),
            (Kind::Flag, T::Boolean(flag)) => Some(Self::Flag(*flag)),
            (Kind::Duration, T::String(text)) => duration::parse(text).ok().map(Self::Duration),
            (Kind::Path, T::String(text)) => Some(Self::Path(folder.join(text.as_ref()))),
            (Kind::Words, T::Array(items)) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Self::Words),
            (Kind::Slots, T::String(text)) => text.parse().ok().map(Self::Slots),
            (Kind::Delay, T::String(text)) => text.parse().ok().map(Self::Delay),
            (Kind::Slots, T::Integer(_)) => written.replace('_', "").parse().ok().map(Self::Slots),
            (Kind::Size, T::String(text)) => text.parse().ok().map(Self::Size),
            (Kind::Size, T::Integer(_)) => written.replace('_', "").parse().ok().map(Self::Size),
            _ => None,
        };
        fitting.ok_or_else(|| invalid_value(kind))
    }

    /// Reads a value from an environment variable. Text may be quoted, and lists may have brackets.
    pub(super) fn from_variable(kind: Kind, text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let fitting = match kind {
            Kind::Text => Some(Self::Text(unquoted(text).to_owned())),
            Kind::Flag => unquoted(text).to_ascii_lowercase().parse().ok().map(Self::Flag),
            Kind::Duration => duration::parse(unquoted(text)).ok().map(Self::Duration),
            Kind::Path => Some(Self::Path(PathBuf::from(unquoted(text)))),
            Kind::Words => words(text).map(Self::Words),
            Kind::Slots => unquoted(text).parse().ok().map(Self::Slots),
            Kind::Delay => unquoted(text).parse().ok().map(Self::Delay),
            Kind::Size => unquoted(text).parse().ok().map(Self::Size),
        };
        fitting.ok_or_else(|| invalid_value(kind))
    }
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

/// Splits a comma-separated list, with or without brackets. A quoted word may contain a comma. None if a bracket or a
/// quote is unmatched.
fn words(text: &str) -> Option<Vec<String>> {
    let inside = match (text.strip_prefix('['), text.ends_with(']')) {
        (Some(rest), true) => &rest[..rest.len() - 1],
        (None, false) => text,
        _ => return None,
    };
    let mut words = Vec::new();
    let mut rest = inside.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            Some(quote) => {
                let (word, after) = rest[1..].split_once(quote)?;
                (word, after.trim_start())
            }
            None => {
                let (word, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (word.trim_end(), after)
            }
        };
        if !word.is_empty() {
            words.push(word.to_owned());
        }
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_parsed_and_shown() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1500", 1500, "1500"),
            ("64MiB", 64 << 20, "64MiB"),
            ("1 GB", 1_000_000_000, "1000000000"),
            ("2G", 2 << 30, "2GiB"),
            ("1024KiB", 1 << 20, "1MiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "1 gib", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_in_a_file_keep_their_spelling() {
        let read = |kind, written: &str| {
            let value = DeValue::parse(written).unwrap();
            Value::from_toml(kind, value.get_ref(), written, Path::new("/etc"))
        };
        for written in ["12345", "1_000", "0x10", "18446744073709551616", "+7"] {
            assert_eq!(read(Kind::Text, written), Ok(Value::Text(written.into())), "{written}");
        }
        assert_eq!(read(Kind::Slots, "1_0"), Ok(Value::Slots(Slots::Count(10))));
        assert_eq!(read(Kind::Slots, "'auto'"), Ok(Value::Slots(Slots::Auto)));
        for wrong in ["-1", "1.5", "'every'", "true"] {
            assert!(read(Kind::Slots, wrong).is_err(), "{wrong}");
        }
        for wrong in ["1.0", "true", "2026-11-28"] {
            assert!(read(Kind::Text, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn environment_values_allow_common_spellings() {
        let read = |kind, text| Value::from_variable(kind, text).unwrap();
        assert_eq!(read(Kind::Words, "[gpu,eu]"), Value::Words(vec!["gpu".into(), "eu".into()]));
        assert_eq!(read(Kind::Words, "[\"a b\", 'c']"), Value::Words(vec!["a b".into(), "c".into()]));
        assert_eq!(read(Kind::Words, "gpu"), Value::Words(vec!["gpu".into()]));
        assert_eq!(read(Kind::Words, "[]"), Value::Words(vec![]));
        assert_eq!(read(Kind::Words, "[\"a,b\", c]"), Value::Words(vec!["a,b".into(), "c".into()]));
        assert_eq!(read(Kind::Words, "a, it's,"), Value::Words(vec!["a".into(), "it's".into()]));
        assert_eq!(read(Kind::Text, "\"12345\""), Value::Text("12345".into()));
        assert_eq!(read(Kind::Text, "12345"), Value::Text("12345".into()));
        assert_eq!(read(Kind::Flag, "TRUE"), Value::Flag(true));
        assert_eq!(read(Kind::Duration, "90s"), Value::Duration(Duration::from_secs(90)));
        assert_eq!(read(Kind::Text, "1_000"), Value::Text("1_000".into()));
        assert_eq!(read(Kind::Text, "012"), Value::Text("012".into()));
        assert_eq!(read(Kind::Slots, "auto"), Value::Slots(Slots::Auto));
        assert_eq!(read(Kind::Slots, "4"), Value::Slots(Slots::Count(4)));
        assert_eq!(read(Kind::Delay, "'off'"), Value::Delay(Delay::Off));
        let day = Value::Delay(Delay::After(Duration::from_hours(24)));
        assert_eq!(read(Kind::Delay, "24h"), day);
        assert_eq!(day.shown(), "1d");
        for halved in ["[gpu", "gpu]", "[\"gpu, eu]", "'a' b"] {
            assert!(Value::from_variable(Kind::Words, halved).is_err(), "{halved}");
        }
        assert!(Value::from_variable(Kind::Slots, "all").is_err());
        assert!(Value::from_variable(Kind::Delay, "never").is_err());
        assert!(Value::from_variable(Kind::Flag, "perhaps").is_err());
        assert!(Value::from_variable(Kind::Duration, "90").is_err());
    }
}
