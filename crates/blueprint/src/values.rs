//! The values of one parameter.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::MAX_TASKS;
use super::error::InvalidBlueprint;

/// The most digits to which numbers are padded.
pub const MAX_WIDTH: usize = 40;

/// The ordered values of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub struct Values(Form);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// Arbitrary texts.
    Words(Vec<String>),
    /// A range of integers.
    Numbers(Numbers),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    first: i64,
    /// The distance between two numbers; negative for a descending range.
    step: i64,
    count: u64,
    /// The width for zero padding, without the sign.
    width: usize,
}

impl Values {
    /// Arbitrary texts.
    pub fn words(words: Vec<String>) -> Self {
        Self(Form::Words(words))
    }

    /// A range of integers: `count` numbers that begin with `first`, `step` apart, and padded with zeros to `width`
    /// digits.
    pub fn numbers(first: i64, step: i64, count: u64, width: usize) -> Result<Self, InvalidBlueprint> {
        Form::Numbers(Numbers { first, step, count, width }).try_into()
    }

    /// Parses a list of words separated by commas. A word such as `1..10` or `0..100..5` is a range of integers
    /// with both ends included. Leading zeros are kept: `01..10`.
    pub fn parse(text: &str) -> Result<Self, InvalidBlueprint> {
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
                return Err(InvalidBlueprint::TooMany);
            }
        }
        Ok(Self::words(words))
    }

    /// The number of values.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Form::Words(words) => words.len() as u64,
            Form::Numbers(numbers) => numbers.count,
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is one range of integers.
    pub(super) const fn is_range(&self) -> bool {
        matches!(self.0, Form::Numbers(_))
    }

    /// The value at a position, from 0. Panics past the end.
    pub fn at(&self, place: u64) -> Cow<'_, str> {
        match &self.0 {
            Form::Words(words) => {
                Cow::Borrowed(&words[usize::try_from(place).expect("a place within the words")])
            }
            Form::Numbers(numbers) => {
                assert!(place < numbers.count, "a place within the range");
                Cow::Owned(numbers.text(place))
            }
        }
    }

    /// The bytes of the longest value; 0 without values.
    pub(super) fn longest(&self) -> u64 {
        let longest = match &self.0 {
            Form::Words(words) => words.iter().map(String::len).max(),
            // The digits of a range get longer towards one of its ends.
            Form::Numbers(numbers) => {
                let ends = numbers.count.checked_sub(1).map(|last| [0, last]);
                ends.and_then(|ends| ends.into_iter().map(|place| numbers.text(place).len()).max())
            }
        };
        longest.unwrap_or(0) as u64
    }
}

impl TryFrom<Form> for Values {
    type Error = InvalidBlueprint;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        match &form {
            Form::Words(_) => {}
            Form::Numbers(numbers) => numbers.check()?,
        }
        Ok(Self(form))
    }
}

impl Numbers {
    fn check(&self) -> Result<(), InvalidBlueprint> {
        if self.width > MAX_WIDTH {
            return Err(InvalidBlueprint::Width(self.width));
        }
        if self.count > MAX_TASKS {
            return Err(InvalidBlueprint::TooMany);
        }
        let fits = i64::try_from(self.number(self.count.saturating_sub(1))).is_ok();
        match fits && (self.step != 0 || self.count < 2) {
            true => Ok(()),
            false => {
                let Self { first, step, count, .. } = *self;
                Err(InvalidBlueprint::Numbers { first, step, count })
            }
        }
    }

    fn number(&self, place: u64) -> i128 {
        i128::from(self.first) + i128::from(self.step) * i128::from(place)
    }

    fn text(&self, place: u64) -> String {
        digits(self.number(place), self.width)
    }
}

/// Parses a range; none for a word that is not a range.
fn range(word: &str) -> Result<Option<Values>, InvalidBlueprint> {
    let parts: Vec<&str> = word.split("..").map(str::trim).collect();
    // `a..b` and `../a` are ordinary words; `0..1..0.1` and `1..` are errors.
    let is_meant = parts.len() > 1
        && parts.iter().any(|part| is_like_a_number(part))
        && parts.iter().all(|part| part.is_empty() || is_like_a_number(part));
    if !is_meant {
        return Ok(None);
    }
    let ([from, to] | [from, to, _]) = parts[..] else {
        return Err(InvalidBlueprint::NotInteger(word.to_owned()));
    };
    if parts.contains(&"") {
        return Err(InvalidBlueprint::HalfRange(word.to_owned()));
    }
    let step = parts.get(2).copied().unwrap_or("1");
    let whole = |part: &str| part.parse::<i128>().map_err(|_| InvalidBlueprint::NotInteger(word.to_owned()));
    let (first, last, step) = (whole(from)?, whole(to)?, whole(step)?);
    if step < 1 {
        return Err(InvalidBlueprint::Step(word.to_owned()));
    }
    let distance = last.checked_sub(first).ok_or(InvalidBlueprint::TooMany)?.unsigned_abs();
    let count = distance / step.unsigned_abs() + 1;
    let count =
        u64::try_from(count).ok().filter(|count| *count <= MAX_TASKS).ok_or(InvalidBlueprint::TooMany)?;
    let step = if last < first { -step } else { step };
    let width = zeros(from).max(zeros(to));
    if width > MAX_WIDTH {
        return Err(InvalidBlueprint::Width(width));
    }
    match (i64::try_from(first), i64::try_from(last), i64::try_from(step)) {
        (Ok(first), Ok(_), Ok(step)) => Values::numbers(first, step, count, width).map(Some),
        // For example, unsigned 64-bit seeds.
        _ => {
            let words = (0..i128::from(count)).map(|place| digits(first + step * place, width));
            Ok(Some(Values::words(words.collect())))
        }
    }
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
            ("0..1..0.1", InvalidBlueprint::NotInteger("0..1..0.1".into())),
            ("0.5..2", InvalidBlueprint::NotInteger("0.5..2".into())),
            ("1..9..0", InvalidBlueprint::Step("1..9..0".into())),
            ("9..1..-2", InvalidBlueprint::Step("9..1..-2".into())),
            ("0..99999999999", InvalidBlueprint::TooMany),
            ("1..", InvalidBlueprint::HalfRange("1..".into())),
            ("..9", InvalidBlueprint::HalfRange("..9".into())),
            ("1..9..", InvalidBlueprint::HalfRange("1..9..".into())),
            ("a,1..", InvalidBlueprint::HalfRange("1..".into())),
            ("1..=9", InvalidBlueprint::NotInteger("1..=9".into())),
            ("1_000..2_000", InvalidBlueprint::NotInteger("1_000..2_000".into())),
            ("1..2..3..4", InvalidBlueprint::NotInteger("1..2..3..4".into())),
            ("2024-01..12", InvalidBlueprint::NotInteger("2024-01..12".into())),
            ("-9223372036854775808..9223372036854775807", InvalidBlueprint::TooMany),
        ] {
            assert_eq!(Values::parse(text), Err(error), "{text}");
        }
        for rest in ["1..9", "1..18446744073709551615..18446744073709551614"] {
            let text = format!("{}{rest}", "0".repeat(40));
            assert_eq!(Values::parse(&text), Err(InvalidBlueprint::Width(41)), "{text}");
        }
    }

    #[test]
    fn numbers_from_code_and_from_json_are_checked() {
        let invalid = |first, step, count| Err(InvalidBlueprint::Numbers { first, step, count });
        for (first, step, count, width, expected) in [
            (i64::MAX, 1, 1, 0, Ok(())),
            (i64::MAX, 0, 1, 0, Ok(())),
            (i64::MIN, 1, 10_000_000, 40, Ok(())),
            (i64::MIN, i64::MAX, 3, 0, Ok(())),
            (0, -1, 2, 0, Ok(())),
            (i64::MAX, 1, 2, 0, invalid(i64::MAX, 1, 2)),
            (i64::MIN, -1, 2, 0, invalid(i64::MIN, -1, 2)),
            (i64::MIN, i64::MAX, 4, 0, invalid(i64::MIN, i64::MAX, 4)),
            (0, 0, 2, 0, invalid(0, 0, 2)),
            (0, 1, 10_000_001, 0, Err(InvalidBlueprint::TooMany)),
            (0, 1, u64::MAX, 0, Err(InvalidBlueprint::TooMany)),
            (0, 1, 1, 41, Err(InvalidBlueprint::Width(41))),
            (0, 1, 1, usize::MAX, Err(InvalidBlueprint::Width(usize::MAX))),
        ] {
            let values = Values::numbers(first, step, count, width);
            assert_eq!(values.as_ref().map(|_| &()), expected.as_ref());
            let json =
                format!(r#"{{"Numbers":{{"first":{first},"step":{step},"count":{count},"width":{width}}}}}"#);
            let read = serde_json::from_str::<Values>(&json).map_err(|error| error.to_string());
            assert_eq!(read.as_ref().ok(), values.as_ref().ok(), "{json}");
            if let Ok(values) = &read {
                assert_eq!(serde_json::to_string(values).unwrap(), json);
            }
        }
    }

    #[test]
    fn longest_value_is_at_an_end_of_a_range() {
        for (text, longest) in
            [("1..100", 3), ("-5..100", 3), ("-100..5", 4), ("100..-5", 3), ("007..9", 3), ("a,,ccc,å", 3)]
        {
            let values = Values::parse(text).unwrap();
            assert_eq!(values.longest(), longest, "{text}");
            assert_eq!((0..values.len()).map(|place| values.at(place).len() as u64).max(), Some(longest));
        }
        assert_eq!(Values::words(Vec::new()).longest(), 0);
        assert_eq!(Values::numbers(100, 1, 0, 9).unwrap().longest(), 0);
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
