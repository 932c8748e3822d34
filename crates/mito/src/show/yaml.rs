//! Writes YAML: mappings and lists as blocks, strings always in quotes, so that `no` is never read as a boolean.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// Formats a document.
pub(super) fn document(value: &Value) -> impl Display {
    fmt::from_fn(move |f| block(value, 0, f))
}

/// Formats a value on its own lines.
fn block(value: &Value, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields.iter().try_for_each(|(name, value)| {
            write!(f, "{:depth$}{}:", "", key(name))?;
            after_key(value, depth, f)
        }),
        Value::Array(items) if !items.is_empty() => items.iter().try_for_each(|item| {
            write!(f, "{:depth$}-", "")?;
            after_dash(item, depth, f)
        }),
        scalar => writeln!(f, "{:depth$}{scalar}", ""),
    }
}

fn after_key(value: &Value, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match is_block(value) {
        true => {
            writeln!(f)?;
            block(value, depth + 2, f)
        }
        false => writeln!(f, " {value}"),
    }
}

/// Formats a list item: the first field of a mapping follows the dash.
fn after_dash(item: &Value, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match item {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().enumerate().try_for_each(|(place, (name, value))| {
                match place {
                    0 => write!(f, " {}:", key(name))?,
                    _ => write!(f, "{:1$}{2}:", "", depth + 2, key(name))?,
                }
                after_key(value, depth + 2, f)
            })
        }
        _ => after_key(item, depth, f),
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// Formats a scalar: plain if it is unambiguous, otherwise in JSON quotes, which are valid YAML.
fn key(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !matches!(
            name.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    match plain {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_is_written() {
        let value = json!([
            {"uuid": "x", "tags": ["a", "no"], "spec": {"args": [], "envs": {"NO": "1", "A B": "\n"}}, "count": null},
            {}, [[1, 2.5], true],
        ]);
        let expected = r#"- count: null
  spec:
    args: []
    envs:
      "A B": "\n"
      "NO": "1"
  tags:
    - "a"
    - "no"
  uuid: "x"
- {}
-
  -
    - 1
    - 2.5
  - true
"#;
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        // The order of fields depends on the map type of the build.
        let text = document(&value).to_string();
        let dash = |text: &str| text.replace("- count:", "  count:").replace("- uuid:", "  uuid:");
        assert_eq!(sorted(&dash(&text)), sorted(&dash(expected)), "{text}");
        assert_eq!(document(&json!("alone")).to_string(), "\"alone\"\n");
        assert_eq!(document(&json!([])).to_string(), "[]\n");
    }
}
