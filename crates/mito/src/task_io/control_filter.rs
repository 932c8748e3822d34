//! Removes control sequences from output that is shown on a terminal.
//!
//! Colours stay. Sequences that move the cursor, change the title or the clipboard, or query the terminal are removed: the
//! output of a task may be that of another user.

/// The longest sequence that is kept.
const MAX_SEQUENCE: usize = 64;

const ESCAPE: u8 = 0x1b;
/// The control character BEL, which ends some strings.
const BEL: u8 = 0x07;
/// Resets all colours.
const RESET: &[u8] = b"\x1b[0m";

/// Filters the bytes of one stream. It keeps what it needs to know between two pieces.
#[derive(Debug, Default)]
pub(crate) struct ControlFilter {
    state: State,
    /// The sequence so far.
    sequence: Vec<u8>,
    has_colours: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After a carriage return.
    Return,
    /// After the first byte of a character that may be a control character.
    TwoBytes,
    Escape,
    /// In a sequence that ends with a letter, such as one for a colour.
    Sequence,
    /// In a string that ends with BEL, or with an escape and a backslash.
    String,
    /// After an escape in such a string.
    EndOfString,
}

impl ControlFilter {
    /// What a terminal may show of `bytes`.
    pub(crate) fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.accept(*byte, &mut shown);
        }
        shown
    }

    /// Ends the stream: what follows has the colours of the terminal.
    pub(crate) fn end(&mut self) -> &'static [u8] {
        let had_colours = std::mem::take(self).has_colours;
        if had_colours { RESET } else { b"" }
    }

    #[expect(clippy::match_same_arms, reason = "the arms of a state belong together")]
    fn accept(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            (State::Return, b'\n') => {
                shown.push(b'\n');
                State::Text
            }
            // A line that overwrites another one becomes a line of its own.
            (State::Return, _) => {
                shown.push(b'\n');
                self.state = State::Text;
                return self.accept(byte, shown);
            }
            (State::TwoBytes, 0x80..=0x9f) => State::Text,
            (State::TwoBytes, _) => {
                shown.push(0xc2);
                self.state = State::Text;
                return self.accept(byte, shown);
            }
            (State::Text, b'\r') => State::Return,
            (State::Text, ESCAPE) => State::Escape,
            (State::Text, 0xc2) => State::TwoBytes,
            (State::Text, b'\n' | b'\t' | 0x20..=0x7e | 0x80..) => {
                shown.push(byte);
                State::Text
            }
            (State::Text, _) => State::Text,
            (State::Escape, b'[') => {
                self.sequence = b"\x1b[".to_vec();
                State::Sequence
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            // A short sequence can have bytes in between.
            (State::Escape, 0x20..=0x2f) => State::Escape,
            (State::Escape, 0x30..=0x7e) => State::Text,
            (State::Sequence, b'0'..=b'9' | b';' | b':') if self.sequence.len() < MAX_SEQUENCE => {
                self.sequence.push(byte);
                State::Sequence
            }
            (State::Sequence, b'm') => {
                if self.sequence.len() < MAX_SEQUENCE {
                    shown.extend(&self.sequence);
                    shown.push(b'm');
                    self.has_colours = true;
                }
                State::Text
            }
            (State::Sequence, 0x20..=0x3f) => {
                // Not a colour: it is removed whatever its end is.
                self.sequence.resize(MAX_SEQUENCE, 0);
                State::Sequence
            }
            (State::Sequence, 0x40..=0x7e) => State::Text,
            (State::String, BEL) => State::Text,
            (State::String, ESCAPE) => State::EndOfString,
            (State::EndOfString, b'\\') => State::Text,
            // A string that does not end must not hide the lines after it.
            (State::String | State::EndOfString, b'\n') => {
                shown.push(b'\n');
                State::Text
            }
            (State::String | State::EndOfString, _) => State::String,
            // Anything else ends a sequence, and is read again.
            (State::Escape | State::Sequence, _) => {
                self.state = State::Text;
                return self.accept(byte, shown);
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let whole = ControlFilter::default().filter(text.as_bytes());
        let mut filter = ControlFilter::default();
        let in_pieces: Vec<u8> = text.as_bytes().iter().flat_map(|byte| filter.filter(&[*byte])).collect();
        assert_eq!(whole, in_pieces, "{text:?}");
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn text_and_colours_stay() {
        for text in ["plain\ttext\n", "\u{1b}[1;38;5;208mwarm\u{1b}[0m\n", "über 日本 ✓\n", "\u{1b}[mx"]
        {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn other_sequences_are_removed() {
        for (text, expected) in [
            ("a\u{1b}[2Jb", "ab"),
            ("a\u{1b}[10;10Hb", "ab"),
            ("a\u{1b}[?25lb", "ab"),
            ("a\u{1b}[>4;2mb", "ab"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]52;c;aGk=\u{1b}\\b", "ab"),
            ("a\u{1b}Pq#0\u{1b}\\b", "ab"),
            ("a\u{1b}(0b", "ab"),
            ("a\u{1b}cb", "ab"),
            ("a\u{9b}2Jb", "a2Jb"),
            ("a\u{8}\u{0}\u{7f}b", "ab"),
            ("\u{1b}]0;unfinished\nnext\n", "\nnext\n"),
            ("\u{1b}[31\nnext", "\nnext"),
            ("\u{1b}\u{1b}[31mred", "\u{1b}[31mred"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn overwritten_line_becomes_a_line() {
        assert_eq!(shown("10%\r20%\r\ndone\r"), "10%\n20%\ndone");
    }

    #[test]
    fn colours_end_with_the_stream() {
        let mut filter = ControlFilter::default();
        assert_eq!(filter.end(), b"");
        filter.filter(b"\x1b[31mred");
        assert_eq!(filter.end(), RESET);
        assert_eq!(filter.end(), b"");
    }
}
