//! How people write resources.

use std::collections::BTreeSet;

use super::{Units, check_name};

/// Parses a size in bytes, such as `4GiB`, `512M` or `1000`.
pub fn parse_size(text: &str) -> Result<u64, InvalidText> {
    const UNITS: [(&str, u64); 14] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
        ("T", 1 << 40),
        ("B", 1),
        ("", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), *bytes)))
        .unwrap_or((text, 1));
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| InvalidText::new("size", text, "a number of bytes such as 512MiB or 4GiB"))
}

/// Parses a number of GPUs with a part of the model's name: `2` or `2:a100`.
pub fn parse_gpus(text: &str) -> Result<(u32, Option<String>), InvalidText> {
    let (number, model) = match text.split_once(':') {
        Some((number, model)) => (number, Some(model.to_owned())),
        None => (text, None),
    };
    match (number.parse(), &model) {
        (Ok(number), None) => Ok((number, model)),
        (Ok(number), Some(name)) if number > 0 && !name.is_empty() => Ok((number, model)),
        _ => Err(InvalidText::new("number of GPUs", text, "a number such as 2, or with a model: 2:a100")),
    }
}

/// Parses units of a named resource: `licence=2`.
pub fn parse_named(text: &str) -> Result<(String, u64), InvalidText> {
    let invalid = || InvalidText::new("resource", text, "a name and a number such as licence=2");
    let (name, units) = text.split_once('=').ok_or_else(invalid)?;
    check_name(name).map_err(|_| invalid())?;
    Ok((name.to_owned(), units.parse().map_err(|_| invalid())?))
}

/// Parses what a worker offers of a named resource: `licence=2`, or units with indices: `disk=[sda,sdb]`.
pub fn parse_units(text: &str) -> Result<(String, Units), InvalidText> {
    let invalid = || {
        InvalidText::new(
            "resource",
            text,
            "a name with a number or indices, such as licence=2 or disk=[sda,sdb]",
        )
    };
    let (name, units) = text.split_once('=').ok_or_else(invalid)?;
    check_name(name).map_err(|_| invalid())?;
    let units = match parse_indices(units) {
        Some(indices) => Units::Indices(indices),
        None => Units::Number(units.parse().map_err(|_| invalid())?),
    };
    Ok((name.to_owned(), units))
}

/// Parses indices in brackets; none if they are something else, empty, or repeated.
pub fn parse_indices(text: &str) -> Option<Vec<String>> {
    let list = text.strip_prefix('[')?.strip_suffix(']')?;
    let indices: Vec<String> = list.split(',').map(|index| index.trim().to_owned()).collect();
    let different: BTreeSet<&String> = indices.iter().collect();
    let is_valid = different.len() == indices.len() && indices.iter().all(|index| !index.is_empty());
    is_valid.then_some(indices)
}

/// A text that does not describe a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{text}`: expected {expected}")]
pub struct InvalidText {
    what: &'static str,
    text: String,
    expected: &'static str,
}

impl InvalidText {
    fn new(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self { what, text: text.to_owned(), expected }
    }
}
