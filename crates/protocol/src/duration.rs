//! Durations as humantime text: `"90s"`, `"1h 30m"`, `"0"` (§2).
//!
//! [`text`] and [`optional_text`] are for `#[serde(with = …)]` on fields of type [`Duration`] and
//! `Option<Duration>`. JSON numbers are rejected, as the contract requires.

use std::time::Duration;

/// Parses a duration in humantime form. Units are case-sensitive: `m` is a minute, `M` a month.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    humantime::parse_duration(text.trim()).map_err(|_| InvalidDuration { text: text.to_owned() })
}

/// Formats a duration so that [`parse`] and every 0.6.8 client can read it: `1m 30s`.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Formats a duration for people, exact to the millisecond: `1d 2h 30m`, `90ms`. [`parse`] reads it, but some
/// 0.6.8 clients don't; the wire uses [`format`].
pub fn short(duration: Duration) -> String {
    units(duration, usize::MAX)
}

/// Formats a duration with its two largest units: `6d 23h`. The remainder is dropped.
pub fn span(duration: Duration) -> String {
    units(duration, 2)
}

/// Formats at most `most` consecutive units, from the largest that is not zero.
fn units(duration: Duration, most: usize) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (u128::from(seconds / 86_400), "d"),
        (u128::from(seconds / 3_600 % 24), "h"),
        (u128::from(seconds / 60 % 60), "m"),
        (u128::from(seconds % 60), "s"),
        (u128::from(duration.subsec_millis()), "ms"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let written = parts.iter().skip(first).take(most).filter(|(count, _)| *count > 0);
    let text = written.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("invalid duration `{text}`: expected numbers with units, such as `90s`, `10min` or `1h 30m`")]
pub struct InvalidDuration {
    text: String,
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
    fn spellings_of_the_contract_are_parsed() {
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
    fn bare_numbers_and_unknown_units_are_refused() {
        for text in ["5", "5 parsecs", "", "-1s"] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("such as `90s`"), "{error}");
        }
    }

    #[test]
    fn short_form_is_readable_and_parsed_again() {
        for (millis, exact, rough) in [
            (0, "0s", "0s"),
            (250, "250ms", "250ms"),
            (90_000, "1m 30s", "1m 30s"),
            (3_600_000, "1h", "1h"),
            (86_400_000, "1d", "1d"),
            (90_061_000, "1d 1h 1m 1s", "1d 1h"),
            (86_405_000, "1d 5s", "1d"),
            (61_500, "1m 1s 500ms", "1m 1s"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!((short(duration), span(duration)), (exact.to_owned(), rough.to_owned()), "{millis}");
            assert_eq!(parse(exact), Ok(duration));
        }
    }

    #[test]
    fn written_form_is_read_by_legacy_workers() {
        assert_eq!(format(Duration::from_secs(90)), "1m 30s");
        assert_eq!(format(Duration::ZERO), "0s");
    }
}
