//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Writes bytes as lower-case hexadecimal digits.
pub fn lower(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(digits, "{byte:02x}").expect("a String takes any text");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(lower(&[0, 7, 255]), "0007ff");
        assert_eq!(lower(&[]), "");
    }
}
