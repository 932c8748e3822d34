//! Removes control sequences from output that is shown on a terminal.
//!
//! Colours stay. Sequences that move the cursor, change the title or the clipboard, query the terminal or conceal text are
//! removed: the output of a task may be that of another user. The terminal is assumed to use UTF-8.

/// The length from which parameters of a sequence are removed.
const MAX_SEQUENCE: usize = 64;

const ESCAPE: u8 = 0x1b;
/// The control character BEL, which ends some strings.
const BEL: u8 = 0x07;
/// The attribute that conceals text.
const CONCEAL: u8 = 8;
/// The attributes whose colour is given by the parameters after them.
const FOREGROUND: u8 = 38;
const BACKGROUND: u8 = 48;
const UNDERLINE: u8 = 58;
/// Resets all colours.
const RESET: &[u8] = b"\x1b[0m";

/// Filters the bytes of one stream. It keeps what it needs to know between two pieces.
#[derive(Debug, Default)]
pub(crate) struct ControlFilter {
    state: State,
    /// The parameters of the sequence so far.
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
    /// In a character: the range of the next byte, and the number of bytes that are left.
    Character {
        low: u8,
        high: u8,
        left: u8,
    },
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

    /// The parameters of the sequence, if it sets attributes that may be shown.
    fn visible_attributes(&self) -> Option<Vec<u8>> {
        (self.sequence.len() < MAX_SEQUENCE).then(|| without_conceal(&self.sequence))?
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
            (State::Character { low, high, left }, _) if (low..=high).contains(&byte) => {
                shown.push(byte);
                match left {
                    ..=1 => State::Text,
                    _ => State::Character { low: 0x80, high: 0xbf, left: left - 1 },
                }
            }
            (State::Character { .. }, _) => {
                self.state = State::Text;
                return self.accept(byte, shown);
            }
            (State::Text, b'\r') => State::Return,
            (State::Text, ESCAPE) => State::Escape,
            (State::Text, 0xc2) => State::TwoBytes,
            (State::Text, 0xc3..=0xf4) => {
                shown.push(byte);
                State::in_character(byte)
            }
            // Bytes from 0x80 to 0x9f are part of a character, or control characters.
            (State::Text, b'\n' | b'\t' | 0x20..=0x7e | 0xa0..) => {
                shown.push(byte);
                State::Text
            }
            (State::Text, _) => State::Text,
            (State::Escape, b'[') => {
                self.sequence.clear();
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
                if let Some(attributes) = self.visible_attributes() {
                    shown.extend(b"\x1b[");
                    shown.extend(attributes);
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

impl State {
    /// The state after the first byte of a character of several bytes (Unicode, table 3-7).
    fn in_character(first: u8) -> Self {
        let (low, high, left) = match first {
            0xe0 => (0xa0, 0xbf, 2),
            0xe1..=0xec | 0xee | 0xef => (0x80, 0xbf, 2),
            0xed => (0x80, 0x9f, 2),
            0xf0 => (0x90, 0xbf, 3),
            0xf1..=0xf3 => (0x80, 0xbf, 3),
            0xf4 => (0x80, 0x8f, 3),
            _ => (0x80, 0xbf, 1),
        };
        Self::Character { low, high, left }
    }
}

/// Removes the attribute that conceals text from the parameters of a sequence. `None` if none are left, or if
/// terminals may read them in different ways.
fn without_conceal(parameters: &[u8]) -> Option<Vec<u8>> {
    let mut rest = parameters.split(|byte| *byte == b';');
    let mut kept = Vec::new();
    while let Some(parameter) = rest.next() {
        match attribute(parameter)? {
            CONCEAL => {}
            // The colour follows in other parameters, which are no attributes.
            FOREGROUND | BACKGROUND | UNDERLINE if !parameter.contains(&b':') => {
                let space = rest.next()?;
                let values = match space {
                    b"5" => 1,
                    b"2" => 3,
                    _ => return None,
                };
                kept.extend([parameter, space]);
                for _ in 0..values {
                    let value = rest.next()?;
                    number(value)?;
                    kept.push(value);
                }
            }
            _ => kept.push(parameter),
        }
    }
    (!kept.is_empty()).then(|| kept.join(&b";"[..]))
}

/// The attribute that a parameter sets. Numbers after a colon belong to it.
fn attribute(parameter: &[u8]) -> Option<u8> {
    let mut numbers = parameter.split(|byte| *byte == b':').map(number);
    let first = numbers.next()?;
    numbers.all(|number| number.is_some()).then_some(first)?
}

/// A number, which is 0 if it is left out. No attribute or colour is above 255.
fn number(digits: &[u8]) -> Option<u8> {
    match digits {
        [] => Some(0),
        digits => std::str::from_utf8(digits).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_bytes(bytes: &[u8]) -> Vec<u8> {
        let whole = ControlFilter::default().filter(bytes);
        let mut filter = ControlFilter::default();
        let in_pieces: Vec<u8> = bytes.iter().flat_map(|byte| filter.filter(&[*byte])).collect();
        assert_eq!(whole, in_pieces, "{bytes:?}");
        whole
    }

    fn shown(text: &str) -> String {
        String::from_utf8(shown_bytes(text.as_bytes())).unwrap()
    }

    #[test]
    fn text_and_colours_stay() {
        for text in [
            "plain\ttext\n",
            "\u{1b}[1;38;5;208mwarm\u{1b}[0m\n",
            "über ěš 日本 ✓ 🦀\n",
            "\u{1b}[mx",
            "\u{1b}[7mreversed",
            "\u{1b}[38;5;8;1mx",
            "\u{1b}[48;2;8;8;8mx",
            "\u{1b}[38:5:8;58:2::8:8:8mx",
            "\u{1b}[4:3mx",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn concealed_text_is_shown() {
        for (text, expected) in [
            ("\u{1b}[8msecret\u{1b}[28m", "secret\u{1b}[28m"),
            ("\u{1b}[1;8;31mx", "\u{1b}[1;31mx"),
            ("\u{1b}[0;008mx", "\u{1b}[0mx"),
            ("\u{1b}[38;5;1;8mx", "\u{1b}[38;5;1mx"),
            ("\u{1b}[38:5:1;8mx", "\u{1b}[38:5:1mx"),
            // What a terminal makes of these is not certain.
            ("\u{1b}[38;8mx", "x"),
            ("\u{1b}[38;2;1;8mx", "x"),
            ("\u{1b}[38;5:1;8mx", "x"),
            ("\u{1b}[264mx", "x"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn control_characters_of_eight_bits_are_removed() {
        for (bytes, expected) in [
            (&b"a\x9b2Jb"[..], &b"a2Jb"[..]),
            (b"a\x90q\x9cb", b"aqb"),
            (b"a\xc2\x9b2Jb", b"a2Jb"),
            (b"\xc2\xa0\xc3\x9b", b"\xc2\xa0\xc3\x9b"),
            // Longer encodings of the same character.
            (b"a\xc1\x9bb", b"a\xc1b"),
            (b"a\xe0\x82\x9bb", b"a\xe0b"),
            (b"a\xf0\x80\x82\x9bb", b"a\xf0b"),
            // A character that is not complete.
            (b"\xe6\x97a\x9bb", b"\xe6\x97ab"),
            // Text that is not UTF-8 otherwise.
            (b"\xfcber\n", b"\xfcber\n"),
        ] {
            assert_eq!(shown_bytes(bytes), expected, "{bytes:?}");
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
