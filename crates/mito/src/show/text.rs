//! Formatting of text.

use std::fmt::{self, Display, Write as _};

/// Escapes text of other users for a terminal: control characters, and characters that change the direction of
/// writing.
pub(crate) fn escaped(text: &str) -> String {
    escape(text, |_| false)
}

/// Like [`escaped`], but keeps line breaks.
pub(crate) fn escaped_lines(text: &str) -> String {
    escape(text, |character| character == '\n')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match is_harmful(character) && !keep(character) {
            true => write!(safe, "{}", character.escape_default()).expect("a String takes everything"),
            false => safe.push(character),
        }
    }
    safe
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Quotes a command for a shell, safely for a terminal.
pub(crate) fn shell_words(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell. Characters that are unsafe on a terminal are escaped in `$'…'`, which bash, zsh and
/// newer other shells support.
pub(crate) fn shell_word(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) if !word.chars().any(is_harmful) => quoted.into_owned(),
        _ => {
            let mut safe = "$'".to_owned();
            for character in word.chars() {
                match character {
                    '\\' | '\'' => safe.extend(['\\', character]),
                    '\n' => safe.push_str("\\n"),
                    '\t' => safe.push_str("\\t"),
                    '\r' => safe.push_str("\\r"),
                    _ if !is_harmful(character) => safe.push(character),
                    _ => write!(safe, "\\u{:04x}", u32::from(character)).expect("a String takes everything"),
                }
            }
            safe.push('\'');
            safe
        }
    }
}

/// Joins words with spaces.
pub(crate) fn words<T: Display>(words: &[T]) -> impl Display {
    fmt::from_fn(|f| {
        words.iter().enumerate().try_for_each(|(place, word)| match place {
            0 => write!(f, "{word}"),
            _ => write!(f, " {word}"),
        })
    })
}

/// A count with its noun: `1 task`, `2 tasks`.
pub(crate) fn pluralized(count: u64, thing: &str) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{count} {thing}{}", if count == 1 { "" } else { "s" }))
}

/// A size in decimal units.
pub(crate) fn bytes(size: i64) -> impl Display {
    const UNITS: [(&str, i64); 6] = [
        ("EB", 1_000_000_000_000_000_000),
        ("PB", 1_000_000_000_000_000),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    fmt::from_fn(move |f| {
        let fitting = UNITS.iter().find(|(_, factor)| size.unsigned_abs() >= factor.unsigned_abs());
        match fitting {
            Some((unit, factor)) => {
                let sign = if size < 0 { "-" } else { "" };
                let (whole, rest) = ((size / factor).unsigned_abs(), (size % factor).unsigned_abs());
                write!(f, "{sign}{whole}.{:02} {unit}", rest / (factor.unsigned_abs() / 100).max(1))
            }
            None => write!(f, "{size} B"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (1_048_576, "1.04 MB"),
            (16_000_000_000, "16.00 GB"),
            (-1_500, "-1.50 kB"),
            (i64::MIN, "-9.22 EB"),
        ] {
            assert_eq!(bytes(size).to_string(), text);
        }
    }

    #[test]
    fn command_is_quoted_for_a_shell() {
        for (words, text) in [
            (&["sh", "-c", "exit 7"][..], "sh -c 'exit 7'"),
            (&["echo", "", "it's", "$HOME", "größe"], "echo '' \"it's\" '$HOME' 'größe'"),
            (&["printf", "a\nb\\'\x1b[2J\u{202e}"], "printf $'a\\nb\\\\\\'\\u001b[2J\\u202e'"),
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let shown = shell_words(&words);
            assert_eq!(shown, text);
            let script = format!("printf '%s\\0' {shown}");
            let bash =
                std::process::Command::new("bash").args(["-c", &script]).env("LC_ALL", "C.UTF-8").output();
            let printed = String::from_utf8(bash.unwrap().stdout).unwrap();
            assert_eq!(printed.split_terminator('\0').collect::<Vec<_>>(), words);
        }
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(escaped("a\x1b[2Jb\n\u{202e}c\u{9b}"), r"a\u{1b}[2Jb\n\u{202e}c\u{9b}");
        assert_eq!(escaped("größe 漢字 🎉 \\ \""), "größe 漢字 🎉 \\ \"");
        assert_eq!(escaped_lines("a\nb\x07"), "a\nb\\u{7}");
    }
}
