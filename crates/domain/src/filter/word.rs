//! Splits a filter into words, with blanks and quotes.

use super::{InvalidFilter, Why};
use crate::comparison::Operator;

/// A condition as it was written.
#[derive(Debug)]
pub(super) struct Word {
    /// The word as in the text, with quotes.
    source: String,
    at: usize,
    /// The word without its quotes.
    text: String,
}

impl Word {
    pub(super) fn wrong(&self, why: Why) -> InvalidFilter {
        InvalidFilter { word: self.source.clone(), at: self.at, why }
    }

    /// Splits the condition into key, operator and value.
    pub(super) fn split(&self) -> Result<(&str, Operator, &str), Why> {
        let end = self.text.find(['=', '<', '>', '!']).ok_or(Why::NoCondition)?;
        let (key, rest) = self.text.split_at(end);
        let (operator, value) = Operator::split(rest).ok_or(Why::NoCondition)?;
        match (key, value) {
            ("", _) => Err(Why::NoCondition),
            (_, "") => Err(Why::NoValue),
            _ => Ok((key, operator, value)),
        }
    }
}

pub(super) fn words(text: &str) -> Result<Vec<Word>, InvalidFilter> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, length) = first(rest, text.len() - rest.len())?;
        words.push(word);
        rest = &rest[length..];
    }
}

/// The first word of a text, and its length in the text.
fn first(rest: &str, at: usize) -> Result<(Word, usize), InvalidFilter> {
    let (mut text, mut quoted, mut end) = (String::new(), false, rest.len());
    let mut characters = rest.char_indices();
    while let Some((place, character)) = characters.next() {
        match (character, quoted) {
            ('"', _) => quoted = !quoted,
            ('\\', true) => text.extend(characters.next().map(|(_, next)| next)),
            (blank, false) if blank.is_whitespace() => {
                end = place;
                break;
            }
            (other, _) => text.push(other),
        }
    }
    let word = Word { source: rest[..end].to_owned(), at, text };
    match quoted {
        true => Err(word.wrong(Why::NotClosed)),
        false => Ok((word, end)),
    }
}
