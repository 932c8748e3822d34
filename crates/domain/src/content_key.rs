//! Keys of attachments that name their content.

use std::fmt;

use crate::hex;

/// The folder of these keys in a group.
const PREFIX: &str = "inputs/sha256-";

/// The folder of standard input.
const STDIN_PREFIX: &str = "stdin/";

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let is_lower = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 64 || !is_lower {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The key of an attachment with this content.
    pub fn key(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// The digest that a key names; none for other keys.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::parse(key.strip_prefix(PREFIX).or_else(|| key.strip_prefix(STDIN_PREFIX))?)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::lower(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_names_the_digest() {
        let digest = Digest(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        assert_eq!(Digest::of_key(&digest.key()), Some(digest));
        assert!(digest.key().starts_with("inputs/sha256-0008101820"));
        let upper = digest.key().to_uppercase();
        for other in
            ["inputs/sha256-12", "data/in.csv", &digest.to_string(), &upper, &format!("{}/x", digest.key())]
        {
            assert_eq!(Digest::of_key(other), None, "{other}");
        }
    }
}
