//! Changes of quotas as administrators write them: `16GB`, `+512MiB`, `-2`, `=8` (HTTP contract §6).

/// A change to a number that never falls below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaChange {
    /// `=v` or `v`
    Set(i64),
    /// `+v`
    Add(i64),
    /// `-v`
    Subtract(i64),
}

/// An invalid change of a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    /// The text is not a number of groups.
    #[error("`{0}` is not a number of groups; write `8`, `+2` or `-1`")]
    Count(String),
    /// The text is not a size in bytes.
    #[error("`{0}` is not a size; write `16GB`, `+512MiB` or `-1.5g`")]
    Size(String),
}

impl QuotaChange {
    /// Parses a change of a count: an optional sign, then a decimal 32-bit number.
    pub fn parse_count(text: &str) -> Result<Self, InvalidQuota> {
        let (make, value) = split_sign(text);
        let number: i32 = value.parse().map_err(|_| InvalidQuota::Count(text.to_owned()))?;
        if number < 0 {
            return Err(InvalidQuota::Count(text.to_owned()));
        }
        Ok(make(i64::from(number)))
    }

    /// Parses a change of a size: an optional sign, then a number with an optional unit.
    pub fn parse_size(text: &str) -> Result<Self, InvalidQuota> {
        let (make, value) = split_sign(text);
        let bytes = parse_bytes(value).ok_or_else(|| InvalidQuota::Size(text.to_owned()))?;
        Ok(make(bytes))
    }

    /// The quota after the change, between zero and `ceiling`.
    pub fn apply(self, current: i64, ceiling: i64) -> i64 {
        match self {
            Self::Set(value) => value,
            Self::Add(value) => current.saturating_add(value),
            Self::Subtract(value) => current.saturating_sub(value),
        }
        .clamp(0, ceiling)
    }
}

fn split_sign(text: &str) -> (fn(i64) -> QuotaChange, &str) {
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'+') => (QuotaChange::Add, text[1..].trim_start()),
        Some(b'-') => (QuotaChange::Subtract, text[1..].trim_start()),
        Some(b'=') => (QuotaChange::Set, text[1..].trim_start()),
        _ => (QuotaChange::Set, text),
    }
}

/// Parses `1.5 GiB`, `16gb`, `2e9`, `1_000k`; `None` if it is not a size or exceeds 63 bits.
fn parse_bytes(text: &str) -> Option<i64> {
    let compact: String = text.chars().filter(|c| !matches!(c, '_' | ' ')).collect::<String>().to_lowercase();
    let body = compact.strip_suffix('b').unwrap_or(&compact);
    let (body, base) = body.strip_suffix('i').map_or((body, 1000_f64), |body| (body, 1024_f64));
    let (number, power) = match body.char_indices().next_back()? {
        (at, unit @ ('k' | 'm' | 'g' | 't' | 'p' | 'e')) => (&body[..at], "kmgtpe".find(unit)? + 1),
        _ if base > 1000.0 => return None,
        _ => (body, 0),
    };
    let starts_well = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = number.parse::<f64>().ok().filter(|_| starts_well)?;
    let bytes = (value * base.powi(i32::try_from(power).ok()?)).round();
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked in the same line")]
    (bytes.is_finite() && bytes < 9.223_372_036_854_775e18).then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_as_in_the_contract() {
        for (text, change) in [
            ("16GB", QuotaChange::Set(16_000_000_000)),
            ("+512MiB", QuotaChange::Add(512 << 20)),
            ("-1.5g", QuotaChange::Subtract(1_500_000_000)),
            ("= 20 kb", QuotaChange::Set(20_000)),
            ("1_000", QuotaChange::Set(1_000)),
            ("2e3", QuotaChange::Set(2_000)),
            ("7b", QuotaChange::Set(7)),
        ] {
            assert_eq!(QuotaChange::parse_size(text), Ok(change), "{text}");
        }
        for text in ["", "x", "5 zb", "GB", "inf", "nan", "--5", "9e30", "5ib"] {
            assert!(QuotaChange::parse_size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn counts_are_integers_and_never_negative() {
        assert_eq!(QuotaChange::parse_count("+2"), Ok(QuotaChange::Add(2)));
        assert_eq!(QuotaChange::parse_count("=8"), Ok(QuotaChange::Set(8)));
        assert!(QuotaChange::parse_count("2147483648").is_err());
        assert!(QuotaChange::parse_count("1.5").is_err());
        assert_eq!(QuotaChange::Subtract(9).apply(4, i64::MAX), 0);
        assert_eq!(QuotaChange::Add(i64::MAX).apply(4, 100), 100);
    }
}
