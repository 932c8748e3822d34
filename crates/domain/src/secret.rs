//! Names and values of secrets.

use mitosis_protocol::secret::{MAX_SECRET_BYTES, SecretValue};

/// What a name of a secret looks like.
pub const SECRET_NAME_RULE: &str =
    "use 1 to 64 characters of A-Z, a-z, 0-9 and `_`, and no digit at the start";

/// Bytes of the longest name.
const MAX_SECRET_NAME_BYTES: usize = 64;

/// Why a value can't be that of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// The value is empty.
    #[error("the value of a secret can't be empty")]
    Empty,
    /// The value is too long.
    #[error("the value of a secret can have at most {MAX_SECRET_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The value contains a NUL byte.
    #[error("the value of a secret can't contain a NUL byte: it becomes a variable of a command")]
    Nul,
}

/// Whether a text can name a secret, or the variable that gets its value.
pub fn is_name(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = text.bytes().next().is_some_and(|first| is_fit(first) && !first.is_ascii_digit());
    starts_well && text.len() <= MAX_SECRET_NAME_BYTES && text.bytes().all(is_fit)
}

/// Checks a value.
pub fn check_value(value: &SecretValue) -> Result<(), InvalidSecret> {
    let value = value.expose();
    match value.len() {
        0 => Err(InvalidSecret::Empty),
        length if length > MAX_SECRET_BYTES => Err(InvalidSecret::TooLong(length)),
        _ if value.contains('\0') => Err(InvalidSecret::Nul),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_that_of_a_variable() {
        for name in ["A", "_", "DB_PASSWORD", "token2", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2", "a-b", "a b", "a.b", "ä", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn value_is_bounded_and_can_be_a_variable() {
        let check = |text: &str| check_value(&SecretValue::new(text));
        assert_eq!(check(""), Err(InvalidSecret::Empty));
        assert_eq!(check("a\nb\n"), Ok(()));
        assert_eq!(check("a\0b"), Err(InvalidSecret::Nul));
        assert_eq!(check(&"x".repeat(32 * 1024)), Ok(()));
        assert_eq!(check(&"x".repeat(32 * 1024 + 1)), Err(InvalidSecret::TooLong(32 * 1024 + 1)));
    }
}
