//! Parses TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Node, Value};

pub(super) fn parse(text: &str) -> Result<Node, String> {
    let document = DeTable::parse(text).map_err(|error| error.to_string())?;
    Ok(Node { at: 0, value: table(document.get_ref(), text) })
}

/// Converts a value. The parser limits the depth and refuses duplicate keys.
fn node(value: &Spanned<DeValue<'_>>, text: &str) -> Node {
    let span = value.span();
    let at = span.start;
    let value = match value.get_ref() {
        DeValue::String(words) => Value::Text(words.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, text)).collect()),
        DeValue::Table(pairs) => table(pairs, text),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Value::Plain(text[span].to_owned())
        }
    };
    Node { at, value }
}

fn table(pairs: &DeTable<'_>, text: &str) -> Value {
    Value::Table(pairs.iter().map(|(key, value)| (key.get_ref().to_string(), node(value, text))).collect())
}
