//! Local files and directories that are sent along with a task.

use std::fs;
use std::path::{Path, PathBuf};

use mitosis_blueprint::literal;
use mitosis_domain::limits::MAX_RESOURCES;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest};

use super::attachment_key::file_name;
use super::error::Error;
use super::input::digest;
use super::job::Upload;

/// Makes a local file, or all files below a directory, resources of a task, with the same name. They have to be uploaded before
/// the task is submitted, each under a key that names its content. With parameters, `is_plain` is false.
pub fn add_upload(task: &mut SubmitTaskRequest, path: &Path, is_plain: bool) -> Result<Vec<Upload>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(unreadable)?;
    let mut files = Vec::new();
    collect(&path, file_name(&path)?, &mut files)?;
    let in_task = |text: &str| if is_plain { text.to_owned() } else { literal(text) };
    let mut uploads = Vec::with_capacity(files.len());
    for (file, local_path) in files {
        let key = digest(&file)?.key();
        task.task_spec.resources.push(ResourceDownload {
            remote_file: RemoteFile::Attachment { key: in_task(&key) },
            local_path: in_task(&local_path),
        });
        uploads.push(Upload { file, group: task.group_name.clone(), key });
    }
    // Files with the same content have one key.
    uploads.sort_by(|one, other| one.key.cmp(&other.key));
    uploads.dedup_by(|one, other| one.key == other.key);
    Ok(uploads)
}

/// Lists a file, or the files below a directory, with their local paths. Links are followed.
fn collect(path: &Path, local_path: &str, files: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_file() {
        files.push((path.to_owned(), local_path.to_owned()));
        if files.len() > MAX_RESOURCES {
            return Err(Error::input(format!("a task can fetch at most {MAX_RESOURCES} files"))
                .with_hint("pack the directory into one file, for example with `tar -czf`"));
        }
        return Ok(());
    }
    if !metadata.is_dir() {
        return Err(Error::input(format!("{} is neither a file nor a directory", path.display())));
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut entries: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    entries.iter().try_for_each(|entry| {
        let local_path = format!("{local_path}/{}", file_name(entry)?);
        collect(entry, &local_path, files)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mitosis_protocol::TaskSpec;

    use super::*;

    fn task() -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: "ann".into(),
            tags: Vec::new(),
            labels: Vec::new(),
            timeout: Duration::from_secs(60),
            priority: 0,
            task_spec: TaskSpec::default(),
        }
    }

    #[test]
    fn directory_becomes_resources_and_equal_files_one_upload() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("deep")).unwrap();
        for (name, text) in [("b", "same"), ("a{x}", "same"), ("deep/c", "other")] {
            fs::write(data.join(name), text).unwrap();
        }
        let mut task = task();
        let uploads = add_upload(&mut task, &data, false).unwrap();
        assert_eq!(uploads.len(), 2);
        assert!(
            uploads.iter().all(|upload| upload.group == "ann" && upload.key.starts_with("inputs/sha256-"))
        );
        let places: Vec<&str> =
            task.task_spec.resources.iter().map(|resource| resource.local_path.as_str()).collect();
        assert_eq!(places, ["data/a{{x}}", "data/b", "data/deep/c"]);
        assert_eq!(task.task_spec.resources[0].remote_file, task.task_spec.resources[1].remote_file);
        mitosis_domain::spec::check(&task.task_spec).unwrap();
    }

    #[test]
    fn missing_file_and_too_many_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = add_upload(&mut task(), &folder.path().join("missing"), true).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }));
        for number in 0..=MAX_RESOURCES {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let error = add_upload(&mut task(), folder.path(), true).unwrap_err();
        assert!(error.full_message().contains("at most 1024 files"), "{}", error.full_message());
    }
}
