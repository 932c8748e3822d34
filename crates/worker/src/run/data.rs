//! The small result that a task may leave for tables: `result.json` in its result directory.

use std::io::{self, Read as _};

use mitosis_protocol::agent::MAX_DATA_BYTES;
use serde_json::value::RawValue;

use super::Attempt;
use super::scratch::on_a_blocking_thread;

impl Attempt<'_> {
    /// The JSON object in `result.json`, without blanks; nothing when there is none, or when it is no object
    /// or too large. The archive has the file in any case.
    pub(super) async fn read_data(&self) -> Option<Box<RawValue>> {
        let path = self.scratch.result().join("result.json");
        on_a_blocking_thread(move || {
            let file = std::fs::File::open(path).ok()?;
            let mut text = String::new();
            file.take(MAX_DATA_BYTES as u64 + 1).read_to_string(&mut text).ok()?;
            match compact(&text) {
                Ok(data) => Some(data),
                Err(error) => {
                    tracing::warn!(%error, "the task's result.json is not taken into its result");
                    None
                }
            }
        })
        .await
    }
}

fn compact(text: &str) -> io::Result<Box<RawValue>> {
    if text.len() > MAX_DATA_BYTES {
        return Err(io::Error::other("it has more than 16 KiB"));
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    let compact = serde_json::to_string(&object)?;
    if compact.contains("\\u0000") {
        return Err(io::Error::other("it holds a NUL character"));
    }
    Ok(RawValue::from_string(compact)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_object_is_taken_and_everything_else_is_not() {
        assert_eq!(
            compact("{ \"loss\": 0.25,\n \"note\": \"a\" }\n").unwrap().get(),
            r#"{"loss":0.25,"note":"a"}"#
        );
        let large = format!("{{\"x\": \"{}\"}}", "x".repeat(MAX_DATA_BYTES));
        for refused in ["[1]", "7", "{", "", r#"{"x": "\u0000"}"#, &large] {
            assert!(compact(refused).is_err(), "{refused:.20}");
        }
    }
}
