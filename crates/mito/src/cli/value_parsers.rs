//! Grammars of single arguments (command line §5).

use std::time::Duration;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::filter::Filter;
use mitosis_domain::selector::{InvalidSelector, Selector};
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ArtifactKind, ExecState, Role, Uuid, duration};
use mitosis_sweep::attachment_key;

/// The words of a list; an empty one, as of `-t ''`, is none.
pub(crate) fn given(words: &[String]) -> Vec<String> {
    words.iter().filter(|word| !word.is_empty()).cloned().collect()
}

/// Reads a value of a list; an empty one is none.
pub(super) fn or_none<T>(
    read: impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<Option<T>, String> + Clone + Send + Sync + 'static {
    move |text| if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// A limit of silence.
pub(super) fn lost_after(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        limit => Ok(limit),
    }
}

/// `KEY=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// `read`, `write` or `admin`, in lower, upper or capitalised form.
pub(crate) fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| format!("invalid role `{text}`: expected read, write or admin"))
}

/// `NAME:ROLE`.
pub(super) fn relation(text: &str) -> Result<(String, Role), String> {
    match text.split_once(':') {
        Some((name, word)) if !name.is_empty() => Ok((name.to_owned(), role(word)?)),
        _ => Err("expected NAME:ROLE, such as ann:read".to_owned()),
    }
}

/// `artifact=<uuid>:<type>:<local path>` or `attachment=<key>:<local path>`.
pub(super) fn resource(text: &str) -> Result<ResourceDownload, String> {
    const SHAPE: &str = "expected artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH";
    let (kind, rest) = text.split_once('=').ok_or(SHAPE)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (remote_file, local_path) = match (kind, parts.as_slice()) {
        ("artifact", [uuid, kind, local]) => {
            let uuid = uuid.parse().map_err(|_| format!("invalid UUID `{uuid}`"))?;
            let content_type = kind
                .parse::<ArtifactKind>()
                .or_else(|_| kind.to_lowercase().parse())
                .map_err(|error| error.to_string())?;
            (RemoteFile::Artifact { uuid, content_type }, local)
        }
        ("attachment", [name, local]) => (RemoteFile::Attachment { key: attachment_key(name)? }, local),
        _ => return Err(SHAPE.to_owned()),
    };
    Ok(ResourceDownload { remote_file, local_path: (*local_path).to_owned() })
}

/// `UUID,STATE`.
pub(super) fn watch(text: &str) -> Result<(Uuid, ExecState), String> {
    let (uuid, state) = text.split_once(',').ok_or("expected UUID,STATE")?;
    let uuid = uuid.trim().parse().map_err(|_| format!("invalid UUID `{uuid}`"))?;
    let state = serde_json::from_value(serde_json::Value::from(state.trim()))
        .map_err(|_| format!("invalid state `{state}`: the usual one is TaskCommitted"))?;
    Ok((uuid, state))
}

/// A worker.
pub(super) fn worker(text: &str) -> Result<Uuid, String> {
    text.parse()
        .map_err(|_| format!("invalid worker UUID `{text}`; `mito client workers query` shows the UUIDs"))
}

/// How much sooner than others.
pub(super) fn priority(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| {
        format!("invalid priority `{text}`: expected an integer from {} to {}", i32::MIN, i32::MAX)
    })
}

/// A name of one task.
pub(super) fn task(text: &str) -> Result<String, String> {
    let invalid = |error: InvalidSelector| format!("{error}; {}", InvalidSelector::HINT);
    text.parse::<Selector>().map(|_| text.to_owned()).map_err(invalid)
}

/// A condition of a filter.
pub(super) fn condition(text: &str) -> Result<String, String> {
    let text = filter_word(text);
    match Filter::parse(&text, SystemClock.now()) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{error}; {}", error.hint())),
    }
}

/// Names of tasks with commas between them, or a condition.
pub(super) fn selector(text: &str) -> Result<String, String> {
    match Filter::is_condition(text) {
        true => condition(text),
        false => text.split(',').try_for_each(|name| task(name).map(|_| ())).map(|()| text.to_owned()),
    }
}

/// A word of the shell as a word of a filter: what the shell took the quotes from gets them back.
fn filter_word(word: &str) -> String {
    match word.contains(char::is_whitespace) && !word.contains('"') {
        true => format!("\"{}\"", word.replace('\\', "\\\\")),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_is_an_artifact_or_an_attachment() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        let artifact = resource(&format!("artifact={uuid}:STDLOG:logs/before.tar.gz")).unwrap();
        assert_eq!(artifact.local_path, "logs/before.tar.gz");
        assert!(matches!(
            artifact.remote_file,
            RemoteFile::Artifact { content_type: ArtifactKind::StdLog, .. }
        ));
        let attachment = resource("attachment=a/./b/../c:in.csv").unwrap();
        assert_eq!(attachment.remote_file, RemoteFile::Attachment { key: "a/c".into() });
        for wrong in [
            "a.csv",
            "attachment=a",
            "attachment=a:b:c",
            "attachment=../a:b",
            "artifact=x:result:y",
            "other=a:b",
        ] {
            assert!(resource(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variable_is_split_at_the_first_equals_sign() {
        assert_eq!(variable("A=b=c,d").unwrap(), ("A".into(), "b=c,d".into()));
        assert!(variable("=x").is_err() && variable("x").is_err());
    }

    #[test]
    fn relation_is_split_at_the_first_colon() {
        assert_eq!(relation("ann:read").unwrap(), ("ann".into(), Role::Read));
        assert_eq!(relation("ann:WRITE").unwrap().1, Role::Write);
        assert_eq!(relation("ann:Admin").unwrap().1, Role::Admin);
        for wrong in ["ann", ":read", "ann:", "ann:rEAD", "ann:read:write"] {
            assert!(relation(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn watched_state_must_exist() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        assert_eq!(watch(&format!("{uuid},TaskCommitted")).unwrap().1, ExecState::TaskCommitted);
        assert!(watch(&format!("{uuid},Finished")).is_err());
    }
}
