//! The small result that a task may leave for tables: `result.json` in its result directory.

use std::io::{self, Read as _};
use std::path::Path;

use mitosis_protocol::agent::MAX_DATA_BYTES;
use mitosis_protocol::{ResultWarning, WarningCode};
use serde_json::value::RawValue;

use super::scratch::on_a_blocking_thread;
use super::{Attempt, safe_open};

impl Attempt<'_> {
    /// Reads the JSON object in `result.json` and compacts it; returns nothing if there is no file. An invalid
    /// file gives a warning. The archive contains the file in any case.
    pub(super) async fn read_data(&self) -> Result<Option<Box<RawValue>>, ResultWarning> {
        let path = self.scratch.result().join("result.json");
        on_a_blocking_thread(move || read(&path)).await.map_err(|error| {
            tracing::warn!(%error, "result.json is not taken into the task's result");
            let text = format!("result.json is not taken into the table of results: {error}");
            ResultWarning::new(WarningCode::DataRefused, None, text)
        })
    }
}

fn read(path: &Path) -> io::Result<Option<Box<RawValue>>> {
    let Some(file) = safe_open::open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_DATA_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_DATA_BYTES {
        return Err(io::Error::other("it has more than 16 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    compact(&text).map(Some)
}

fn compact(text: &str) -> io::Result<Box<RawValue>> {
    if text.starts_with('\u{feff}') {
        return Err(io::Error::other("it begins with a byte order mark, which JSON does not have"));
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|error| {
        io::Error::other(format!("it is not a JSON object: {error}{}", hint(text, &error)))
    })?;
    let compact = serde_json::to_string(&object)?;
    if compact.contains("\\u0000") {
        return Err(io::Error::other("it holds a NUL character"));
    }
    // Escapes can make it longer than the source.
    if compact.len() > MAX_DATA_BYTES {
        return Err(io::Error::other("it has more than 16 KiB"));
    }
    Ok(RawValue::from_string(compact)?)
}

/// Explains why a number such as `NaN` is invalid.
fn hint(text: &str, error: &serde_json::Error) -> &'static str {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let start = line.floor_char_boundary(error.column().saturating_sub(2));
    let rest = line[start..].trim_start_matches([' ', '-', ':', ',', '[']);
    match ["NaN", "Infinity", "nan", "inf"].iter().any(|word| rest.starts_with(word)) {
        true => " (JSON has no NaN and no Infinity; write null or a string)",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_object_is_accepted() {
        assert_eq!(
            compact("{ \"loss\": 0.25,\n \"note\": \"a\" }\n").unwrap().get(),
            r#"{"loss":0.25,"note":"a"}"#
        );
        let large = format!("{{\"x\": \"{}\"}}", "x".repeat(MAX_DATA_BYTES));
        for refused in ["[1]", "7", "{", "", r#"{"x": "\u0000"}"#, &large] {
            assert!(compact(refused).is_err(), "{refused:.20}");
        }
    }

    #[test]
    fn rejection_names_the_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        assert!(read(&path).unwrap().is_none());
        let rejection = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        for number in ["NaN", "-Infinity", "Infinity"] {
            let text = rejection(format!("{{\"a\": 1,\n \"loss\": {number}}}").as_bytes());
            assert!(text.contains("JSON has no NaN"), "{text}");
        }
        assert!(rejection(b"\xef\xbb\xbf{}").contains("byte order mark"));
        assert!(rejection(&vec![b'x'; MAX_DATA_BYTES + 1]).contains("16 KiB"));
        assert!(rejection(b"{\"a\": \"\xff\"}").contains("UTF-8"));
        assert!(!rejection(b"[1]").contains("NaN"));
    }
}
