//! The standard input of a task.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use mitosis_blueprint::literal;
use mitosis_domain::content_key::Digest;
use mitosis_domain::limits::MAX_FILES_BYTES;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest};

use super::error::Error;
use super::job::Upload;

/// The path of the standard input in the resource directory.
const LOCAL_PATH: &str = ".stdin";

/// The content of a file, or of standard input with `-`.
enum Content {
    /// A text that a task can bring.
    Short(String),
    Long(PathBuf),
}

/// Makes a file the standard input of a task; `-` is the standard input of this process. A short text becomes part of the
/// task. Any other file has to be uploaded before the task is submitted. With parameters, `is_plain` is false.
pub fn add_input(task: &mut SubmitTaskRequest, file: &Path, is_plain: bool) -> Result<Option<Upload>, Error> {
    let spec = &mut task.task_spec;
    let used: usize = spec.files.values().map(String::len).sum();
    spec.stdin = Some(LOCAL_PATH.to_owned());
    match content(file, MAX_FILES_BYTES.saturating_sub(used))? {
        Content::Short(text) => {
            spec.files.insert(LOCAL_PATH.to_owned(), text);
            Ok(None)
        }
        Content::Long(file) => {
            let key = format!("stdin/{}", digest(&file)?);
            spec.resources.push(ResourceDownload {
                remote_file: RemoteFile::Attachment {
                    key: if is_plain { key.clone() } else { literal(&key) },
                },
                local_path: LOCAL_PATH.to_owned(),
            });
            Ok(Some(Upload { file, group: task.group_name.clone(), key }))
        }
    }
}

fn content(file: &Path, limit: usize) -> Result<Content, Error> {
    let unreadable = |source| Error::Unreadable { path: file.to_owned(), source };
    let is_stdin = file == Path::new("-");
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    match is_stdin {
        true => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .map_err(unreadable)?;
    let is_short = bytes.len() <= limit && !bytes.contains(&0);
    match String::from_utf8(bytes).ok().filter(|_| is_short) {
        Some(text) => Ok(Content::Short(text)),
        None if is_stdin => {
            let kib = limit / 1024;
            Err(Error::input(format!("standard input is not a text of at most {kib} KiB"))
                .with_hint("save it in a file, and pass that with --stdin FILE"))
        }
        None => Ok(Content::Long(file.to_owned())),
    }
}

/// Names the content: a later submission with other content must not replace it.
pub(super) fn digest(file: &Path) -> Result<Digest, Error> {
    let unreadable = |source| Error::Unreadable { path: file.to_owned(), source };
    let mut reader = std::fs::File::open(file).map_err(unreadable)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            length => context.update(&buffer[..length]),
        }
    }
    let digest = context.finish();
    Ok(Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use mitosis_protocol::TaskSpec;

    use super::*;

    fn added(bytes: &[u8], used: usize) -> (SubmitTaskRequest, Option<Upload>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input");
        std::fs::write(&file, bytes).unwrap();
        let files = BTreeMap::from([("script".to_owned(), "x".repeat(used))]);
        let mut task = SubmitTaskRequest {
            group_name: "ann".into(),
            tags: Vec::new(),
            labels: Vec::new(),
            timeout: Duration::from_secs(60),
            priority: 0,
            task_spec: TaskSpec { files, ..TaskSpec::default() },
        };
        let upload = add_input(&mut task, &file, true).unwrap();
        assert_eq!(task.task_spec.stdin.as_deref(), Some(".stdin"));
        mitosis_domain::spec::check(&task.task_spec).unwrap();
        (task, upload)
    }

    #[test]
    fn short_text_is_part_of_the_task() {
        for text in ["", "a\nb", &"x".repeat(64 * 1024 - 10)] {
            let (task, upload) = added(text.as_bytes(), 10);
            assert_eq!((&task.task_spec.files[".stdin"][..], upload), (text, None));
        }
    }

    #[test]
    fn other_content_is_uploaded_under_its_digest() {
        for bytes in [&b"a\0b"[..], b"\xff", &vec![b'x'; 64 * 1024]] {
            let (task, upload) = added(bytes, 10);
            let upload = upload.unwrap();
            assert!(upload.key.starts_with("stdin/") && upload.key.len() == 6 + 64, "{}", upload.key);
            assert_eq!(upload.group, "ann");
            let resource = &task.task_spec.resources[0];
            assert_eq!(resource.remote_file, RemoteFile::Attachment { key: upload.key });
            assert_eq!((resource.local_path.as_str(), task.task_spec.files.len()), (".stdin", 1));
        }
        let key = |bytes| added(bytes, 0).1.unwrap().key;
        assert_eq!(key(b"a\0"), key(b"a\0"));
        assert_ne!(key(b"a\0"), key(b"b\0"));
    }
}
