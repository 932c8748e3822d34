//! Deserializes a document into the requested type.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Key, Node, ParseError, Value};

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}

impl de::Error for ParseError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { at: None, key: Key::None, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string() {
            text if text == "a sequence" => "a list".to_owned(),
            text if text == "a map" => "a table".to_owned(),
            text if text == "a string" => "text".to_owned(),
            text if text == "i32" => "an integer".to_owned(),
            text => text,
        };
        let found = match found {
            Unexpected::Bool(_) => "a boolean".to_owned(),
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => "a number".to_owned(),
            Unexpected::Str(_) => "text".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a table".to_owned(),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            other => other.to_string(),
        };
        Self { key: Key::Wanted, ..Self::custom(format_args!("expected {expected}, not {found}")) }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("unknown key `{field}`; the keys are {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("missing key `{field}`"))
    }
}

impl Node {
    /// The text of a scalar; other nodes are returned unchanged.
    fn scalar(self) -> Result<String, Self> {
        match self.value {
            Value::Text(text) | Value::Plain(text) => Ok(text),
            _ => Err(self),
        }
    }

    /// A list or a table. A scalar is an error, which names its type.
    fn structure<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        let at = self.at;
        match &self.value {
            Value::Plain(text) if text == "true" || text == "false" => visitor.visit_bool(text == "true"),
            Value::Plain(text) => match text.replace('_', "").parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => return self.deserialize_any(visitor),
            },
            _ => return self.deserialize_any(visitor),
        }
        .map_err(|error: ParseError| error.or_at(at))
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        let at = self.at;
        match self.scalar() {
            Ok(text) => match whole_number(&text) {
                Some(number) => visitor.visit_i64(number),
                None if has_leading_zero(&text) => Err(ParseError::at(
                    at,
                    format!("invalid integer `{text}` (leading zeros are not allowed)"),
                )),
                None => Err(ParseError {
                    key: Key::Wanted,
                    ..ParseError::at(at, format!("expected an integer, not `{text}`"))
                }),
            },
            Err(node) => node.deserialize_any(visitor),
        }
        .map_err(|error: ParseError| error.or_at(at))
    }
}

/// Parses an integer of any of the languages. Leading zeros are refused: YAML 1.1 reads `010` as 8, YAML 1.2 as 10.
fn whole_number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => return None,
        _ => (10, digits.as_str()),
    };
    match digits.as_bytes().first()?.is_ascii_alphanumeric() {
        true => i64::from_str_radix(&format!("{sign}{digits}"), radix).ok(),
        false => None,
    }
}

/// Whether a text is a decimal number that begins with a needless 0.
fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits.len() > 1
        && digits.starts_with('0')
        && digits.chars().all(|digit| digit.is_ascii_digit() || digit == '_')
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

impl IntoDeserializer<'_, ParseError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = ParseError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        let at = self.at;
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Text(text) | Value::Plain(text) => visitor.visit_string(text),
            Value::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Value::Table(pairs) => visitor.visit_map(Pairs { rest: pairs.into_iter(), value: None }),
        }
        .map_err(|error: ParseError| error.or_at(at))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        let at = self.at;
        match self.scalar() {
            Ok(text) => match truth(&text) {
                Some(truth) => visitor.visit_bool(truth),
                None => Err(ParseError::at(at, format!("expected true or false, found `{text}`"))),
            },
            Err(node) => node.deserialize_any(visitor),
        }
        .map_err(|error: ParseError| error.or_at(at))
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        self.whole(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        self.whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        self.whole(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A key without a value is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        match self.value {
            Value::Null => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Self>())),
            _ => self.structure(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        match self.value {
            Value::Null => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(String, Self)>())),
            _ => self.structure(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        match self.value {
            // A derived visitor would take the items for the fields, in their order.
            Value::List(_) => {
                Err(<ParseError as de::Error>::invalid_type(Unexpected::Seq, &visitor).or_at(self.at))
            }
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        let at = self.at;
        match self.scalar() {
            Ok(text) => {
                let name: StrDeserializer<'_, ParseError> = text.as_str().into_deserializer();
                visitor.visit_enum(name).map_err(|error| error.or_at(at))
            }
            Err(node) => node.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

/// The entries of a table. An error for an unknown key has its position.
struct Pairs {
    rest: std::vec::IntoIter<(String, Node)>,
    value: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Pairs {
    type Error = ParseError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ParseError> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        let at = value.at;
        self.value = Some((key.clone(), value));
        let key: StringDeserializer<ParseError> = key.into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.or_at(at))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ParseError> {
        let (key, value) = self.value.take().expect("a value follows its key");
        let at = value.at;
        seed.deserialize(value).map_err(|error| error.or_at(at).with_key(&key))
    }
}
