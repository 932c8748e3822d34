//! Text with placeholders: `train.py --rate {rate}`. `{{` and `}}` are literal braces, and `${HOME}` is left for the
//! shell.

use std::borrow::Cow;

use super::error::InvalidSweep;

/// A text whose placeholders all refer to parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The value of the parameter at this position.
    Value(usize),
}

impl Template {
    /// Parses a text; `names` are the parameters in the order of their values.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, InvalidSweep> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
            let after = &rest[at + 1..];
            if brace == '{' && rest[..at].ends_with('$') && !after.starts_with('{') {
                let end = shell_end(after).ok_or_else(|| InvalidSweep::LoneBrace(text.to_owned(), brace))?;
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
            let lone = || InvalidSweep::LoneBrace(text.to_owned(), brace);
            if brace == '}' {
                return Err(lone());
            }
            let (name, after) = after.split_once('}').ok_or_else(lone)?;
            let place = names.iter().position(|known| *known == name).ok_or_else(|| unknown(name, names))?;
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

    /// A text without placeholders.
    pub fn plain(text: &str) -> Self {
        Self { parts: vec![Part::Text(text.to_owned())] }
    }

    /// Fills the placeholders with these values.
    pub fn fill(&self, values: &[Cow<'_, str>]) -> String {
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

fn unknown(name: &str, names: &[&str]) -> InvalidSweep {
    InvalidSweep::Unknown { name: name.to_owned(), known: names.iter().map(ToString::to_string).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(text: &str) -> Result<String, InvalidSweep> {
        Template::parse(text, &["x", "learning rate"]).map(|text| text.fill(&["1".into(), "0.5".into()]))
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
        let text = Template::parse("{x}", &["x"]).unwrap();
        assert_eq!(text.fill(&["{x} {{ }".into()]), "{x} {{ }");
    }

    #[test]
    fn unknown_name_is_reported_with_the_known_ones() {
        let error = fill("run {y}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown parameter {y}; the parameters are {x}, {learning rate}; write {{ and }} for literal braces"
        );
        assert!(matches!(fill("{}"), Err(InvalidSweep::Unknown { .. })));
        assert!(matches!(fill("{X}"), Err(InvalidSweep::Unknown { .. })), "case counts");
    }

    #[test]
    fn single_brace_is_refused() {
        for text in ["{", "a{x", "}", "a}b", "{{}", "${x", "${a:-${x}"] {
            assert!(matches!(fill(text), Err(InvalidSweep::LoneBrace(..))), "{text}");
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
