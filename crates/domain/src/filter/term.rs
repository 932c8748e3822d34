//! Splits a filter into terms, which are separated by blanks and may be quoted.

use super::{InvalidFilter, Problem};
use crate::comparison::Operator;

/// One condition, as written.
#[derive(Debug)]
pub(super) struct Term {
    /// The text with quotes.
    source: String,
    at: usize,
    /// The text without quotes.
    text: String,
}

impl Term {
    pub(super) fn invalid(&self, problem: Problem) -> InvalidFilter {
        InvalidFilter { term: self.source.clone(), at: self.at, problem }
    }

    /// Splits the condition into key, operator and value.
    pub(super) fn split(&self) -> Result<(&str, Operator, &str), Problem> {
        let end = self.text.find(['=', '<', '>', '!']).ok_or(Problem::NotACondition)?;
        let (key, rest) = self.text.split_at(end);
        let (operator, value) = Operator::split(rest).ok_or(Problem::NotACondition)?;
        match (key, value) {
            ("", _) => Err(Problem::NotACondition),
            (_, "") => Err(Problem::MissingValue),
            _ => Ok((key, operator, value)),
        }
    }
}

pub(super) fn terms(text: &str) -> Result<Vec<Term>, InvalidFilter> {
    let mut terms = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(terms);
        }
        let (term, length) = first(rest, text.len() - rest.len())?;
        terms.push(term);
        rest = &rest[length..];
    }
}

/// The first term of a text, and its length in the text.
fn first(rest: &str, at: usize) -> Result<(Term, usize), InvalidFilter> {
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
    let term = Term { source: rest[..end].to_owned(), at, text };
    match quoted {
        true => Err(term.invalid(Problem::UnclosedQuote)),
        false => Ok((term, end)),
    }
}
