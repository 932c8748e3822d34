//! Parses JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Node, ParseError, Value, refuse_depth, refuse_twice};

pub(super) fn parse(text: &str) -> Result<Node, String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    node(raw, text, 0).map_err(|error| error.describe(text))
}

/// The position of a well-formed value in the text that it is borrowed from.
fn node(raw: &RawValue, text: &str, depth: usize) -> Result<Node, ParseError> {
    let written = raw.get();
    let at = written.as_ptr().addr() - text.as_ptr().addr();
    refuse_depth(depth, at)?;
    let wrong = |error: serde_json::Error| ParseError::at(at, error.to_string());
    let value = match written.as_bytes().first() {
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(written).map_err(wrong)?;
            let pairs = pairs.into_iter().map(|(key, raw)| Ok((key, node(raw, text, depth + 1)?)));
            let pairs: Vec<_> = pairs.collect::<Result<_, ParseError>>()?;
            refuse_twice(&pairs)?;
            Value::Table(pairs)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(written).map_err(wrong)?;
            Value::List(items.into_iter().map(|raw| node(raw, text, depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(written).map_err(wrong)?),
        Some(b'n') => Value::Null,
        _ => Value::Plain(written.to_owned()),
    };
    Ok(Node { at, value })
}

/// The entries of an object, in order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
