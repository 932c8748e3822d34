//! Durations as humantime text: `"90s"`, `"1h 30m"`, `"0"` (§2).
//!
//! [`text`] and [`optional_text`] are for `#[serde(with = …)]` on fields of type [`Duration`] and
//! `Option<Duration>`. JSON numbers are refused, as the contract asks.

use std::time::Duration;

/// Reads a duration in humantime form. Units are case sensitive: `m` is a minute, `M` a month.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    humantime::parse_duration(text.trim()).map_err(|source| InvalidDuration { text: text.to_owned(), source })
}

/// Writes a duration in the form that [`parse`] and every published client read: `1m 30s`.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Text that is not a duration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{text}` is not a duration ({source}); write it like `90s`, `10min` or `1h 30m`")]
pub struct InvalidDuration {
    text: String,
    source: humantime::DurationError,
}

/// `#[serde(with = "duration::text")]` for a required duration.
pub mod text {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the humantime form.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    /// Reads the humantime form from a string; anything else is a type error.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `#[serde(with = "duration::optional_text", default)]` for a duration that may be absent or null.
pub mod optional_text {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the humantime form, or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::text::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the humantime form, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<Cow<'de, str>>::deserialize(deserializer)?
            .map(|text| super::parse(&text).map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_the_contract_are_read() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("1h 30m", 5_400.0),
            ("1h30m", 5_400.0),
            ("10min", 600.0),
            ("0", 0.0),
            ("0s", 0.0),
            ("1.5h", 5_400.0),
            ("1M", 30.44 * 86_400.0),
            ("2 weeks", 14.0 * 86_400.0),
            ("250ms", 0.25),
        ] {
            let read = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!((read.as_secs_f64() - seconds).abs() < 1e-6, "{text} read as {read:?}");
        }
    }

    #[test]
    fn bare_numbers_and_unknown_units_are_refused_with_advice() {
        for text in ["5", "5 parsecs", "", "-1s"] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("write it like"), "{error}");
        }
    }

    #[test]
    fn the_form_that_is_written_is_the_one_published_workers_read() {
        assert_eq!(format(Duration::from_secs(90)), "1m 30s");
        assert_eq!(format(Duration::ZERO), "0s");
    }
}
