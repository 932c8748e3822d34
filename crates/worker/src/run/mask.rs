//! Replaces secrets in a stream of bytes.

use std::collections::BTreeSet;

use mitosis_protocol::secret::{MIN_MASKED_BYTES, SecretValue};

/// What a secret is replaced by.
const MASK: &[u8] = b"***";

/// Replaces secrets in a stream that comes in pieces of any size. Bytes that may be the beginning of a secret are held back
/// until the next bytes decide, so the stream is delayed by less than the longest secret.
#[derive(Debug, Clone)]
pub(super) struct Masker {
    patterns: Patterns,
    /// Bytes that were held back.
    held: Vec<u8>,
    /// How many of them belong to a secret that was replaced.
    covered: usize,
}

/// What has to be replaced. It is never formatted.
#[derive(Clone)]
struct Patterns {
    texts: Vec<Vec<u8>>,
    /// The bytes with which a text starts.
    starts: [bool; 256],
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patterns").finish_non_exhaustive()
    }
}

impl Masker {
    /// A masker for the lines of these values; none if all lines are short.
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a SecretValue>) -> Option<Self> {
        let lines = values.flat_map(|value| value.expose().lines());
        let long = lines.filter(|line| line.len() >= MIN_MASKED_BYTES);
        let texts: BTreeSet<Vec<u8>> = long.map(|line| line.as_bytes().to_vec()).collect();
        let mut starts = [false; 256];
        texts.iter().filter_map(|text| text.first()).for_each(|first| starts[usize::from(*first)] = true);
        let patterns = Patterns { texts: texts.into_iter().collect(), starts };
        (!patterns.texts.is_empty()).then(|| Self { patterns, held: Vec::new(), covered: 0 })
    }

    /// Adds the next bytes of the stream, and appends to `out` what is decided.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        self.decide(false, out);
    }

    /// Appends to `out` what was held back, at the end of the stream.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.decide(true, out);
    }

    fn decide(&mut self, is_end: bool, out: &mut Vec<u8>) {
        let mut at = 0;
        while let Some(rest) = self.held.get(at..).filter(|rest| !rest.is_empty()) {
            let plain = rest.iter().position(|byte| self.patterns.starts[usize::from(*byte)]);
            let plain = at + plain.unwrap_or(rest.len());
            out.extend_from_slice(&self.held[self.covered.clamp(at, plain)..plain]);
            at = plain;
            let rest = &self.held[at..];
            if rest.is_empty() || (!is_end && self.patterns.may_start(rest)) {
                break;
            }
            match self.patterns.longest_at(rest) {
                Some(length) => {
                    // Secrets that overlap are replaced together.
                    if at >= self.covered {
                        out.extend_from_slice(MASK);
                    }
                    self.covered = self.covered.max(at + length);
                }
                None if at >= self.covered => out.push(rest[0]),
                None => {}
            }
            at += 1;
        }
        self.held.drain(..at);
        self.covered = self.covered.saturating_sub(at);
    }
}

impl Patterns {
    /// Whether these bytes are the beginning of a longer text.
    fn may_start(&self, bytes: &[u8]) -> bool {
        self.texts.iter().any(|text| text.len() > bytes.len() && text.starts_with(bytes))
    }

    /// The length of the longest text with which these bytes start.
    fn longest_at(&self, bytes: &[u8]) -> Option<usize> {
        self.texts.iter().filter(|text| bytes.starts_with(text)).map(Vec::len).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masker(values: &[&str]) -> Masker {
        let values: Vec<SecretValue> = values.iter().map(|value| SecretValue::new(*value)).collect();
        Masker::new(values.iter()).unwrap()
    }

    fn masked(values: &[&str], pieces: &[&[u8]]) -> String {
        let (mut masker, mut out) = (masker(values), Vec::new());
        for piece in pieces {
            masker.feed(piece, &mut out);
        }
        masker.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    const CASES: [(&[&str], &str, &str); 9] = [
        (&["hunter2"], "", ""),
        (&["hunter2"], "my hunter2 is hunter2hunter2!", "my *** is ******!"),
        (&["hunter2"], "hunterhunter2 hunter", "hunter*** hunter"),
        (&["aaaaaa"], "aaaaa aaaaaaa", "aaaaa ***"),
        (&["abcdef", "abcdefgh"], "abcdef abcdefg abcdefgh", "*** ***g ***"),
        (&["secretkey", "keychain"], "a secretkeychain b", "a *** b"),
        (&["ababab", "bababc"], "xabababc ababab", "x*** ***"),
        (&["first line\nsecond line\n\n"], "> first line\n> second line\n", "> ***\n> ***\n"),
        (&["passwörd"], "passwört passwörd", "passwört ***"),
    ];

    #[test]
    fn secret_is_replaced_wherever_the_stream_is_split() {
        for (values, text, expected) in CASES {
            let text = text.as_bytes();
            assert_eq!(masked(values, &[text]), expected);
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(masked(values, &bytes), expected, "byte by byte");
            for at in 0..text.len() {
                let (first, second) = text.split_at(at);
                assert_eq!(masked(values, &[first, second]), expected, "split at {at}");
            }
        }
    }

    #[test]
    fn only_the_beginning_of_a_secret_is_held_back() {
        let (mut masker, mut out) = (masker(&["hunter2"]), Vec::new());
        masker.feed(b"name: hunt", &mut out);
        assert_eq!(out, b"name: ");
        masker.feed(b"ing", &mut out);
        assert_eq!(out, b"name: hunting");
        masker.feed(b" prompt> ", &mut out);
        assert_eq!(out, b"name: hunting prompt> ");
    }

    #[test]
    fn short_lines_are_not_masked() {
        let values = ["12345", "a\nbc\n"].map(SecretValue::new);
        assert!(Masker::new(values.iter()).is_none());
        assert_eq!(masked(&["12345", "123456"], &[b"12345 123456"]), "12345 ***");
    }

    #[test]
    fn pattern_is_not_formatted() {
        assert!(!format!("{:?}", masker(&["hunter2"])).contains("hunter2"));
    }
}
