//! Parses job files into trees that keep the text of each scalar.
//!
//! TOML, YAML and JSON differ in what `012`, `NO`, `1_000` and `3.10` mean, and a value that is parsed as a number
//! is not always printed as it was written. So a scalar keeps the text of the file, and becomes a number or a
//! boolean only where the schema has one.

mod deserialize;
mod json;
mod toml;
mod yaml;

use serde::de::DeserializeOwned;

/// How deep lists and tables may be nested.
const DEPTH: usize = 64;

/// The language of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    Toml,
    Yaml,
    Json,
}

/// A value and its position.
#[derive(Debug, Clone)]
struct Node {
    /// The offset in bytes from the start of the file.
    at: usize,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Null,
    /// A string.
    Text(String),
    /// Any other scalar: a number, a boolean, a date.
    Plain(String),
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<(String, Node)>),
}

/// A syntax error, or a value that the schema does not have.
#[derive(Debug)]
struct ParseError {
    at: Option<usize>,
    key: Key,
    message: String,
}

/// Whether an error names the key of its value.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    None,
    /// The key is added by the innermost table.
    Wanted,
}

impl Language {
    /// Parses a document. Errors have a line.
    pub(super) fn parse<T: DeserializeOwned>(self, text: &str) -> Result<T, String> {
        let node = match self {
            Self::Toml => toml::parse(text)?,
            Self::Yaml => yaml::parse(text)?,
            Self::Json => json::parse(text)?,
        };
        T::deserialize(node).map_err(|error| error.describe(text))
    }
}

impl ParseError {
    fn at(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), key: Key::None, message: message.into() }
    }

    /// Sets the position, unless it has one from an inner value.
    fn or_at(self, at: usize) -> Self {
        Self { at: self.at.or(Some(at)), ..self }
    }

    /// Adds the key of the value if it is wanted.
    fn with_key(self, key: &str) -> Self {
        match self.key {
            Key::None => self,
            Key::Wanted => Self { key: Key::None, message: format!("`{key}`: {}", self.message), ..self },
        }
    }

    fn describe(self, text: &str) -> String {
        match self.at {
            Some(at) => {
                let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
                format!("line {line}: {}", self.message)
            }
            None => self.message,
        }
    }
}

/// Refuses a key that occurs twice: one of its values would be lost silently.
fn refuse_twice(pairs: &[(String, Node)]) -> Result<(), ParseError> {
    let mut seen = std::collections::BTreeSet::new();
    match pairs.iter().find(|(key, _)| !seen.insert(key)) {
        Some((key, node)) => Err(ParseError::at(node.at, format!("`{key}` is given twice"))),
        None => Ok(()),
    }
}

fn refuse_depth(depth: usize, at: usize) -> Result<(), ParseError> {
    match depth > DEPTH {
        true => Err(ParseError::at(at, format!("lists and tables are nested more than {DEPTH} deep"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    type Texts = BTreeMap<String, String>;

    fn one(language: Language, written: &str) -> Result<String, String> {
        let text = match language {
            Language::Toml => format!("x = {written}"),
            Language::Yaml => format!("x: {written}"),
            Language::Json => format!("{{\"x\": {written}}}"),
        };
        Ok(language.parse::<Texts>(&text)?.remove("x").unwrap())
    }

    #[test]
    fn scalars_keep_their_spelling() {
        use Language::{Json, Toml, Yaml};
        for (languages, words) in [
            (
                &[Toml, Yaml, Json][..],
                "18446744073709551615 123456789012345678901234567890 1.0 3.10 1e5 -0 0.1 true",
            ),
            (&[Toml, Yaml], "1_000 0x1F 0o17 0b101 +7 1e+5 2026-11-28 inf nan"),
            (
                &[Yaml],
                "NO no Yes on off 012 0777 007 1:30 .5 5. 1.10.0 .inf .nan 1e999 12e03 True FALSE 0X1F 1.e3",
            ),
        ] {
            for (language, word) in
                languages.iter().flat_map(|language| words.split(' ').map(move |word| (language, word)))
            {
                assert_eq!(one(*language, word).as_deref(), Ok(word), "{language:?}");
            }
        }
        assert_eq!(one(Toml, "1979-05-27T07:32:00.50Z").as_deref(), Ok("1979-05-27T07:32:00.50Z"));
    }

    #[test]
    fn strings_follow_the_rules_of_their_language() {
        use Language::{Json, Toml, Yaml};
        for (language, written, text) in [
            (Json, r#""a\u00e9\ud83d\ude00\/\n""#, "aé😀/\n"),
            (Toml, r#""012""#, "012"),
            (Toml, "'C:\\temp'", "C:\\temp"),
            (Toml, "\"\"\"\na\nb\n\"\"\"", "a\nb\n"),
            (Yaml, "'NO'", "NO"),
            (Yaml, "\"1.0\"", "1.0"),
            (Yaml, "|\n  a\n  b\n", "a\nb\n"),
            (Yaml, ">\n  a\n  b\n", "a b\n"),
            (Yaml, "!!str 012", "012"),
            (Yaml, "''", ""),
        ] {
            assert_eq!(one(language, written).as_deref(), Ok(text), "{language:?} {written}");
        }
    }

    #[test]
    fn keys_keep_their_spelling() {
        let texts: Texts = Language::Yaml.parse("on: a\nNO: b\n012: c\n1.0: d\n").unwrap();
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["012", "1.0", "NO", "on"]);
    }

    #[test]
    fn yaml_anchor_is_resolved() {
        let text = "a: &x 012\nb: *x\n";
        assert_eq!(Language::Yaml.parse::<Texts>(text).unwrap()["b"], "012");
        let text = "base: &base {n: 1_0}\nmore: {<<: *base, m: 2.0}\n";
        let merged: BTreeMap<String, Texts> = Language::Yaml.parse(text).unwrap();
        assert_eq!((&merged["more"]["n"][..], &merged["more"]["m"][..]), ("1_0", "2.0"));
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        number: Option<i32>,
        flag: Option<bool>,
        #[serde(default)]
        list: Vec<String>,
    }

    #[test]
    fn typed_fields_are_parsed() {
        let typed = |text: &str| Language::Yaml.parse::<Typed>(text);
        assert_eq!(
            typed("number: -3\nflag: yes\nlist:\n").unwrap(),
            Typed { number: Some(-3), flag: Some(true), list: vec![] }
        );
        assert_eq!(typed("number: 0x10\nlist: [1.0, on]").unwrap().list, ["1.0", "on"]);
        assert_eq!(Language::Toml.parse::<Typed>("number = 1_000").unwrap().number, Some(1_000));
        for wrong in
            ["number: 012", "number: 1.0", "number: many", "number: 2147483648", "flag: 1", "flag: si"]
        {
            let message = typed(&format!("list: [a]\n{wrong}")).unwrap_err();
            assert!(message.starts_with("line 2: "), "{wrong}: {message}");
        }
    }

    #[test]
    fn errors_have_a_line() {
        for (language, text, words) in [
            (Language::Json, "{\n\"list\": [],\n\"nmuber\": 1}", "line 3: unknown key `nmuber`"),
            (Language::Toml, "list = []\n\nnmuber = 1", "line 3: unknown key `nmuber`"),
            (Language::Yaml, "list: []\n\nnmuber: 1", "line 3: unknown key `nmuber`"),
            (Language::Json, "{\"list\": [\n1], \"list\": []}", "line 2: `list` is given twice"),
            (Language::Json, "{\"list\": [[]]}", "line 1: `list`: expected text, not a list"),
            (Language::Json, "{", "line 1"),
        ] {
            let message = language.parse::<Typed>(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
        let deep = format!("{{\"list\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Language::Json.parse::<Typed>(&deep).unwrap_err().contains("deep"));
    }
}
