//! Text with placeholders: `train.py --rate {rate}`. `{{` and `}}` are literal braces, and `${HOME}` is left for the
//! shell.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::InvalidBlueprint;

/// A text whose placeholders all refer to parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// The names of the parameters, and the position of each.
#[derive(Debug)]
pub(super) struct Names<'a>(BTreeMap<&'a str, usize>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The value of the parameter at this position.
    Value(usize),
}

/// The text in a form that has no placeholders, for a task with parameters.
pub fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl<'a> Names<'a> {
    /// The names in the order of their values.
    pub(super) fn new(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.zip(0..).collect())
    }

    fn unknown(&self, name: &str) -> InvalidBlueprint {
        let mut known: Vec<_> = self.0.iter().collect();
        known.sort_unstable_by_key(|(_, place)| **place);
        let known = known.into_iter().map(|(name, _)| (*name).to_owned()).collect();
        InvalidBlueprint::Unknown { name: name.to_owned(), known }
    }
}

impl Template {
    /// Parses a text. Without parameters, braces have no meaning.
    pub(super) fn new(text: &str, names: &Names<'_>) -> Result<Self, InvalidBlueprint> {
        match names.0.is_empty() {
            true => Ok(Self { parts: vec![Part::Text(text.to_owned())] }),
            false => Self::parse(text, names),
        }
    }

    fn parse(text: &str, names: &Names<'_>) -> Result<Self, InvalidBlueprint> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
            let after = &rest[at + 1..];
            if brace == '{' && rest[..at].ends_with('$') && !after.starts_with('{') {
                let end =
                    shell_end(after).ok_or_else(|| InvalidBlueprint::LoneBrace(text.to_owned(), brace))?;
                plain.push(brace);
                plain.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            if let Some(after) = after.strip_prefix(brace) {
                plain.push(brace);
                rest = after;
                continue;
            }
            let lone = || InvalidBlueprint::LoneBrace(text.to_owned(), brace);
            if brace == '}' {
                return Err(lone());
            }
            let (name, after) = after.split_once('}').ok_or_else(lone)?;
            let place = *names.0.get(name).ok_or_else(|| names.unknown(name))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(place));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The bytes of the filled text, if each value has its largest number of bytes.
    pub(super) fn longest(&self, values: &[u64]) -> u64 {
        let bytes = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Value(place) => values[*place],
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// Fills the placeholders with these values.
    pub(super) fn fill(&self, values: &[Cow<'_, str>]) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Value(place) => &values[*place],
            })
            .collect()
    }
}

/// The end of a shell's `${…}`, which can be nested.
fn shell_end(after: &str) -> Option<usize> {
    let mut open = 1;
    for (at, char) in after.char_indices() {
        match char {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Result<Template, InvalidBlueprint> {
        Template::new(text, &Names::new(["x", "learning rate"].into_iter()))
    }

    fn fill(text: &str) -> Result<String, InvalidBlueprint> {
        template(text).map(|text| text.fill(&["1".into(), "0.5".into()]))
    }

    #[test]
    fn literal_text_is_unchanged_by_filling() {
        for text in ["", "plain", "{x}", "${x} {{ }", r#"{"a": {"b": "${C}"}}"#, "$${}{"] {
            assert_eq!(fill(&literal(text)).unwrap(), text);
        }
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_escaped() {
        for (text, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("{x}", "1"),
            ("a{x}b{x}c", "a1b1c"),
            ("--lr={learning rate}", "--lr=0.5"),
            ("{{x}}", "{x}"),
            ("{{{x}}}", "{1}"),
            ("awk '{{print $1}}' {x}", "awk '{print $1}' 1"),
            ("ünï{x}cödé", "ünï1cödé"),
            ("${x} {x}", "${x} 1"),
            ("${HOME}/{x}", "${HOME}/1"),
            ("${line%.wav}.mp3", "${line%.wav}.mp3"),
            ("${a:-${x}}{x}", "${a:-${x}}1"),
            ("$${x}", "$${x}"),
            ("${{x}}", "${x}"),
            ("$ {x}$(echo {x})", "$ 1$(echo 1)"),
        ] {
            assert_eq!(fill(text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn values_are_not_expanded() {
        assert_eq!(template("{x}").unwrap().fill(&["{x} {{ }".into()]), "{x} {{ }");
    }

    #[test]
    fn longest_text_is_known_without_filling() {
        for (text, longest) in
            [("", 0), ("ab", 2), ("a{x}b{x}{learning rate}", 2 + 2 * 100 + 7), ("{{{x}}}", 102)]
        {
            assert_eq!(template(text).unwrap().longest(&[100, 7]), longest, "{text}");
        }
        assert_eq!(template("{x}{x}").unwrap().longest(&[u64::MAX, 0]), u64::MAX);
    }

    #[test]
    fn braces_have_no_meaning_without_parameters() {
        let text = Template::new("a{b}} ${", &Names::new([].into_iter())).unwrap();
        assert_eq!((text.fill(&[]).as_str(), text.longest(&[])), ("a{b}} ${", 8));
    }

    #[test]
    fn unknown_name_is_reported_with_the_known_ones() {
        let error = fill("run {y}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown parameter {y}; the parameters are {x}, {learning rate}; write {{ and }} for literal braces"
        );
        assert!(matches!(fill("{}"), Err(InvalidBlueprint::Unknown { .. })));
        assert!(matches!(fill("{X}"), Err(InvalidBlueprint::Unknown { .. })), "case counts");
    }

    #[test]
    fn single_brace_is_refused() {
        for text in ["{", "a{x", "}", "a}b", "{{}", "${x", "${a:-${x}"] {
            assert!(matches!(fill(text), Err(InvalidBlueprint::LoneBrace(..))), "{text}");
        }
        assert_eq!(
            fill("a}").unwrap_err().to_string(),
            "unmatched `}` in `a}`: write `}}` for a literal brace"
        );
    }

    proptest! {
        #[test]
        fn text_with_doubled_braces_is_unchanged(text in ".*") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&doubled), Ok(text));
        }
    }
}
