//! The start of a UUID.

use std::fmt;

use mitosis_protocol::Uuid;

/// The fewest digits of a UUID that select a task.
pub const LEAST_DIGITS: usize = 4;

/// The digits of a UUID.
const ALL_DIGITS: usize = 32;

/// The positions of the hyphens in a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The first 4 to 31 digits of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UuidPrefix {
    first: Uuid,
    digits: usize,
}

impl UuidPrefix {
    /// Parses hexadecimal digits, with all hyphens of a UUID or without any. Returns `None` for another text, and for
    /// a whole UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hyphenated = text.contains('-');
        let fits = |(place, byte): (usize, u8)| match is_hyphenated && HYPHENS.contains(&place) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        };
        if !text.bytes().enumerate().all(fits) {
            return None;
        }
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        if !(LEAST_DIGITS..ALL_DIGITS).contains(&digits.len()) {
            return None;
        }
        let first = Uuid::parse_str(&format!("{digits:0<ALL_DIGITS$}")).ok()?;
        Some(Self { first, digits: digits.len() })
    }

    /// The number of digits.
    pub fn digits(&self) -> usize {
        self.digits
    }

    /// The smallest UUID with this start.
    pub fn first(&self) -> Uuid {
        self.first
    }

    /// The largest UUID with this start.
    pub fn last(&self) -> Uuid {
        Uuid::from_u128(self.first.as_u128() | u128::MAX >> (4 * self.digits))
    }
}

impl fmt::Display for UuidPrefix {
    /// Writes the digits with the hyphens of a UUID. Eight decimal digits get a hyphen, too: they would be a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hyphens =
            HYPHENS.iter().enumerate().filter(|(before, place)| self.digits > **place - before).count();
        let text = self.first.hyphenated().to_string();
        let text = &text[..self.digits + hyphens];
        match self.digits == HYPHENS[0] && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => write!(f, "{text}-"),
            false => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_a_range_of_uuids() {
        let uuid: Uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a".parse().unwrap();
        for text in ["3f0c", "3f0c9a3e", "3F0C9A3E-", "3f0c9a3e7c1b", "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4"] {
            let prefix = UuidPrefix::parse(text).unwrap();
            let start = prefix.to_string();
            assert!(prefix.first().to_string().starts_with(&start), "{text}");
            assert!(prefix.last().to_string().starts_with(&start), "{text}");
            assert!((prefix.first()..=prefix.last()).contains(&uuid), "{text}");
            assert!(prefix.last() < Uuid::max() && prefix.first() > Uuid::nil(), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_prefix() {
        let whole = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        let long = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a0";
        for text in ["", "3f0", "3f0c-9a3e", "3f0c9a3e7c1b-", "xyzw", whole, &whole.replace('-', ""), long] {
            assert_eq!(UuidPrefix::parse(text), None, "{text}");
        }
    }

    #[test]
    fn decimal_digits_are_displayed_with_a_hyphen() {
        for (text, displayed) in [
            ("12345678-", "12345678-"),
            ("1234567a", "1234567a"),
            ("123456789a", "12345678-9a"),
            ("12345678-1234-", "12345678-1234"),
            ("CAFE", "cafe"),
        ] {
            assert_eq!(UuidPrefix::parse(text).unwrap().to_string(), displayed);
        }
    }
}
