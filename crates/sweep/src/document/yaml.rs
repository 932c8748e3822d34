//! Parses YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};

use super::{Node, ParseError, Value, refuse_depth, refuse_twice};

pub(super) fn parse(text: &str) -> Result<Node, String> {
    // A number that is too large for the parser is kept as text.
    let options = serde_saphyr::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough };
    let parsed: Spanned<Parsed> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    node(parsed, text, 0).map_err(|error| error.describe(text))
}

/// A value from the parser.
enum Parsed {
    Null,
    Text(String),
    /// A number or a boolean; the text is read at its position.
    Typed,
    List(Vec<Spanned<Parsed>>),
    Table(Vec<(String, Spanned<Parsed>)>),
}

fn node(parsed: Spanned<Parsed>, text: &str, depth: usize) -> Result<Node, ParseError> {
    let span = parsed.defined.span();
    let place = |bytes: Option<u64>| bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let at = place(span.byte_offset()).unwrap_or_default();
    refuse_depth(depth, at)?;
    let value = match parsed.value {
        Parsed::Null => Value::Null,
        Parsed::Text(words) => Value::Text(words),
        Parsed::Typed => {
            let written = place(span.byte_len()).and_then(|length| text.get(at..at + length));
            let written =
                written.ok_or_else(|| ParseError::at(at, "cannot locate a value; put it in quotes"))?;
            Value::Plain(written.trim().to_owned())
        }
        Parsed::List(items) => {
            Value::List(items.into_iter().map(|item| node(item, text, depth + 1)).collect::<Result<_, _>>()?)
        }
        Parsed::Table(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key, node(value, text, depth + 1)?)));
            let pairs: Vec<_> = pairs.collect::<Result<_, ParseError>>()?;
            refuse_twice(&pairs)?;
            Value::Table(pairs)
        }
    };
    Ok(Node { at, value })
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Parsed, E> {
                Ok(Parsed::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Parsed, E> {
                Ok(Parsed::Typed)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Parsed, E> {
                Ok(Parsed::Typed)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Parsed, E> {
                Ok(Parsed::Typed)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Parsed, E> {
                Ok(Parsed::Typed)
            }

            fn visit_str<E>(self, text: &str) -> Result<Parsed, E> {
                Ok(Parsed::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parsed, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Parsed::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Parsed::Table(pairs))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
