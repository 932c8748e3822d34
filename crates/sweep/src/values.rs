//! The values of one parameter.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::MAX_TASKS;
use super::error::InvalidSweep;

/// The ordered values of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Values {
    /// Arbitrary texts.
    Words(Vec<String>),
    /// A range of integers.
    Numbers {
        /// The first number.
        first: i64,
        /// The distance between two numbers; negative for a descending range.
        step: i64,
        /// The number of values.
        count: u64,
        /// The width for zero padding, without the sign.
        width: usize,
    },
}

impl Values {
    /// Parses a list of words separated by commas. A word such as `1..10` or `0..100..5` is a range of integers
    /// with both ends included. Leading zeros are kept: `01..10`.
    pub fn parse(text: &str) -> Result<Self, InvalidSweep> {
        if let Some(numbers) = range(text.trim())? {
            return Ok(numbers);
        }
        let mut words = Vec::new();
        for word in text.split(',') {
            match range(word.trim())? {
                Some(numbers) => words.extend((0..numbers.len()).map(|at| numbers.at(at).into_owned())),
                None => words.push(word.to_owned()),
            }
            if words.len() as u64 > MAX_TASKS {
                return Err(InvalidSweep::TooMany);
            }
        }
        Ok(Self::Words(words))
    }

    /// The number of values.
    pub fn len(&self) -> u64 {
        match self {
            Self::Words(words) => words.len() as u64,
            Self::Numbers { count, .. } => *count,
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a position, from 0. Panics past the end.
    pub fn at(&self, place: u64) -> Cow<'_, str> {
        match self {
            Self::Words(words) => {
                Cow::Borrowed(&words[usize::try_from(place).expect("a place within the words")])
            }
            Self::Numbers { first, step, count, width } => {
                assert!(place < *count, "a place within the range");
                let number = i128::from(*first) + i128::from(*step) * i128::from(place);
                Cow::Owned(digits(number, *width))
            }
        }
    }
}

/// Parses a range; none for a word that is not a range.
fn range(word: &str) -> Result<Option<Values>, InvalidSweep> {
    let parts: Vec<&str> = word.split("..").map(str::trim).collect();
    // `a..b` and `../a` are ordinary words; `0..1..0.1` and `1..` are errors.
    let is_meant = parts.len() > 1
        && parts.iter().any(|part| is_like_a_number(part))
        && parts.iter().all(|part| part.is_empty() || is_like_a_number(part));
    if !is_meant {
        return Ok(None);
    }
    let ([from, to] | [from, to, _]) = parts[..] else {
        return Err(InvalidSweep::NotInteger(word.to_owned()));
    };
    if parts.contains(&"") {
        return Err(InvalidSweep::HalfRange(word.to_owned()));
    }
    let step = parts.get(2).copied().unwrap_or("1");
    let whole = |part: &str| part.parse::<i128>().map_err(|_| InvalidSweep::NotInteger(word.to_owned()));
    let (first, last, step) = (whole(from)?, whole(to)?, whole(step)?);
    if step < 1 {
        return Err(InvalidSweep::Step(word.to_owned()));
    }
    let distance = last.checked_sub(first).ok_or(InvalidSweep::TooMany)?.unsigned_abs();
    let count = distance / step.unsigned_abs() + 1;
    let count = u64::try_from(count).ok().filter(|count| *count <= MAX_TASKS).ok_or(InvalidSweep::TooMany)?;
    let step = if last < first { -step } else { step };
    let width = zeros(from).max(zeros(to));
    Ok(Some(match (i64::try_from(first), i64::try_from(last), i64::try_from(step)) {
        (Ok(first), Ok(_), Ok(step)) => Values::Numbers { first, step, count, width },
        // For example, unsigned 64-bit seeds.
        _ => Values::Words((0..i128::from(count)).map(|place| digits(first + step * place, width)).collect()),
    }))
}

/// Formats a number with at least `width` digits, without the sign.
fn digits(number: i128, width: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{:0width$}", number.unsigned_abs())
}

/// Whether a part of a range is meant as a number: `1_000`, `=5`, `2024-01`.
fn is_like_a_number(text: &str) -> bool {
    is_number(text)
        || text.contains(|char: char| char.is_ascii_digit())
            && text.chars().all(|char| char.is_ascii_digit() || "+-_.=".contains(char))
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The width of a zero-padded number; 0 without padding.
fn zeros(number: &str) -> usize {
    let digits = number.trim_start_matches(['+', '-']);
    if digits.len() > 1 && digits.starts_with('0') { digits.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let values = Values::parse(text).unwrap();
        (0..values.len()).map(|place| values.at(place).into_owned()).collect()
    }

    #[test]
    fn range_includes_both_ends() {
        assert_eq!(all("1..3"), ["1", "2", "3"]);
        assert_eq!(all("0..10..5"), ["0", "5", "10"]);
        assert_eq!(all("0..9..5"), ["0", "5"]);
        assert_eq!(all("3..1"), ["3", "2", "1"]);
        assert_eq!(all("10..1..4"), ["10", "6", "2"]);
        assert_eq!(all("-1..1"), ["-1", "0", "1"]);
        assert_eq!(all("7..7"), ["7"]);
    }

    #[test]
    fn leading_zeros_are_kept() {
        assert_eq!(all("08..10"), ["08", "09", "10"]);
        assert_eq!(all("0..2"), ["0", "1", "2"]);
        assert_eq!(all("-01..01"), ["-01", "00", "01"]);
    }

    #[test]
    fn words_and_ranges_can_be_mixed() {
        assert_eq!(all("a,b c, d"), ["a", "b c", " d"]);
        assert_eq!(all("0.1,1e-3"), ["0.1", "1e-3"]);
        assert_eq!(all("../a,b..c"), ["../a", "b..c"]);
        assert_eq!(all("1..3,7,x"), ["1", "2", "3", "7", "x"]);
        assert_eq!(all("a,,b"), ["a", "", "b"]);
        assert_eq!(all("012,1_000,3.10,1.0,NO,on"), ["012", "1_000", "3.10", "1.0", "NO", "on"]);
        assert_eq!(all("18446744073709551615"), ["18446744073709551615"]);
        assert_eq!(all("..,1.2.3,v1..v2,1..n"), ["..", "1.2.3", "v1..v2", "1..n"]);
        assert_eq!(all("1..2, 7..8"), ["1", "2", "7", "8"]);
        assert_eq!(all("1 .. 3"), ["1", "2", "3"]);
    }

    #[test]
    fn invalid_range_is_refused_with_a_reason() {
        for (text, error) in [
            ("0..1..0.1", InvalidSweep::NotInteger("0..1..0.1".into())),
            ("0.5..2", InvalidSweep::NotInteger("0.5..2".into())),
            ("1..9..0", InvalidSweep::Step("1..9..0".into())),
            ("9..1..-2", InvalidSweep::Step("9..1..-2".into())),
            ("0..99999999999", InvalidSweep::TooMany),
            ("1..", InvalidSweep::HalfRange("1..".into())),
            ("..9", InvalidSweep::HalfRange("..9".into())),
            ("1..9..", InvalidSweep::HalfRange("1..9..".into())),
            ("a,1..", InvalidSweep::HalfRange("1..".into())),
            ("1..=9", InvalidSweep::NotInteger("1..=9".into())),
            ("1_000..2_000", InvalidSweep::NotInteger("1_000..2_000".into())),
            ("1..2..3..4", InvalidSweep::NotInteger("1..2..3..4".into())),
            ("2024-01..12", InvalidSweep::NotInteger("2024-01..12".into())),
            ("-9223372036854775808..9223372036854775807", InvalidSweep::TooMany),
        ] {
            assert_eq!(Values::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn extreme_numbers_are_supported() {
        assert_eq!(all("9223372036854775806..9223372036854775807").len(), 2);
        assert_eq!(
            all("18446744073709551614..18446744073709551615"),
            ["18446744073709551614", "18446744073709551615"]
        );
        assert_eq!(all("-9223372036854775808..-9223372036854775807")[0], "-9223372036854775808");
    }
}
