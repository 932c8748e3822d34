//! Checks of a task specification at its submission.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::time::Duration;

use mitosis_protocol::TaskSpec;
use mitosis_protocol::secret::MAX_SECRETS_OF_TASK;
use mitosis_protocol::stop::MAX_GRACE;
use mitosis_protocol::task::{RemoteFile, TaskDirectory};
use uuid::Uuid;

use crate::limits;
use crate::resources::{InvalidResources, check_request};
use crate::secret::{self, SECRET_NAME_RULE};

/// The tasks that a specification refers to: those whose archives it fetches, and the one that it watches.
pub fn referenced_tasks(spec: &TaskSpec) -> impl Iterator<Item = Uuid> + '_ {
    let fetched = spec.resources.iter().filter_map(|resource| match &resource.remote_file {
        RemoteFile::Artifact { uuid, .. } => Some(*uuid),
        RemoteFile::Attachment { .. } => None,
    });
    fetched.chain(spec.watch.map(|(watched, _)| watched))
}

/// Why a specification or timeout is invalid. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// One argument exceeds the limit of the operating system.
    #[error("argument {index} has {bytes} bytes; the operating system takes at most {limit}: pass it in a file, as an attachment", limit = limits::MAX_ARGUMENT_BYTES)]
    ArgumentTooLong {
        /// The position of the argument, from 0.
        index: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// One variable exceeds the limit of the operating system.
    #[error("variable `{key}` has {bytes} bytes; the operating system takes at most {limit}: pass it in a file, as an attachment", limit = limits::MAX_ARGUMENT_BYTES)]
    VariableTooLong {
        /// The name of the variable.
        key: String,
        /// The length of `key=value` in bytes.
        bytes: usize,
    },
    /// The whole command exceeds the limit.
    #[error("arguments and variables have {bytes} bytes together; the limit is {limit}: pass them in a file, as an attachment", limit = limits::MAX_COMMAND_BYTES)]
    CommandTooLong {
        /// The total length in bytes.
        bytes: usize,
    },
    /// A text contains a NUL byte, which can't be passed to a process.
    #[error("{place} contains a NUL byte, which can't be passed to a command")]
    Nul {
        /// Which text.
        place: String,
    },
    /// A variable has an unusable name.
    #[error("{0:?} can't name a variable: use a name that is not empty and has no `=`")]
    VariableName(String),
    /// There are too many secrets.
    #[error("a task can use at most {MAX_SECRETS_OF_TASK} secrets, this one uses {count}")]
    TooManySecrets {
        /// The number of secrets.
        count: usize,
    },
    /// A secret, or the variable that gets its value, has an unusable name.
    #[error("{0:?} can't name a secret or its variable: {SECRET_NAME_RULE}")]
    SecretName(String),
    /// A variable has two values.
    #[error("the variable `{0}` has a value and is also the variable of a secret")]
    SecretAndVariable(String),
    /// There are too many parameters.
    #[error("a task can have at most {limit} parameters, this one has {count}", limit = limits::MAX_PARAMS)]
    TooManyParams {
        /// The number of parameters.
        count: usize,
    },
    /// The parameters exceed the limit.
    #[error("the parameters have {bytes} bytes together; the limit is {limit}: pass large values in a file, as an attachment", limit = limits::MAX_PARAMS_BYTES)]
    ParamsTooLong {
        /// The total length in bytes.
        bytes: usize,
    },
    /// A path leaves the resource directory.
    #[error("local_path {0:?} must be relative, name a file, and not contain `..`")]
    LocalPath(String),
    /// There are too many files.
    #[error("a task can fetch at most {limit} files, this one fetches {count}", limit = limits::MAX_RESOURCES)]
    TooManyResources {
        /// The number of files.
        count: usize,
    },
    /// A key is not a valid attachment key.
    #[error("{0:?} can't be the key of an attachment")]
    AttachmentKey(String),
    /// A directory is not an absolute path.
    #[error("the directory {0:?} must be an absolute path of at most 4096 bytes")]
    Directory(String),
    /// There are too many texts.
    #[error("a task can bring at most {limit} texts as files, this one has {count}", limit = limits::MAX_FILES)]
    TooManyFiles {
        /// The number of texts.
        count: usize,
    },
    /// The texts exceed the limit.
    #[error("the texts of `files` have {bytes} bytes together; the limit is {limit}: upload them as attachments", limit = limits::MAX_FILES_BYTES)]
    FilesTooLong {
        /// The total length in bytes.
        bytes: usize,
    },
    /// Two files have the same path.
    #[error("two files of the task have the same path, {0:?}")]
    RepeatedPath(String),
    /// A file would be the folder of another one.
    #[error("the file {0:?} of the task is also the folder of {1:?}")]
    FileAndFolder(String, String),
    /// A part of the path of a file is too long for a file system.
    #[error("a part of the path {0:?} has more than {MAX_PATH_PART_BYTES} bytes")]
    PathPartTooLong(String),
    /// The standard input is not one of the files.
    #[error("the standard input {0:?} is neither one of `files` nor the local_path of a resource")]
    UnknownInput(String),
    /// The request for resources is invalid.
    #[error(transparent)]
    Request(#[from] InvalidResources),
    /// `lost_after` is zero.
    #[error("`lost_after` is zero; leave it out or write something like `2m`")]
    NoLostAfter,
    /// The grace period exceeds the limit.
    #[error("`stop_grace` is longer than an hour")]
    StopGraceTooLong,
    /// The timeout exceeds the limit.
    #[error("the timeout is longer than a hundred years; leave it out or write something like `24h`")]
    TimeoutTooLong,
}

/// Checks everything about a specification that can be known before it runs.
pub fn check(spec: &TaskSpec) -> Result<(), InvalidSpec> {
    check_command(spec)?;
    check_secrets(spec)?;
    check_params(&spec.params)?;
    check_request(&spec.request)?;
    if spec.lost_after == Some(Duration::ZERO) {
        return Err(InvalidSpec::NoLostAfter);
    }
    if spec.stop_grace.is_some_and(|grace| grace > MAX_GRACE) {
        return Err(InvalidSpec::StopGraceTooLong);
    }
    if let Some(TaskDirectory::Prefer(path) | TaskDirectory::Require(path)) = &spec.directory {
        check_directory(path)?;
    }
    if spec.resources.len() > limits::MAX_RESOURCES {
        return Err(InvalidSpec::TooManyResources { count: spec.resources.len() });
    }
    for resource in &spec.resources {
        check_local_path(&resource.local_path)?;
        if let RemoteFile::Attachment { key } = &resource.remote_file {
            crate::object::check_key(key).map_err(|_| InvalidSpec::AttachmentKey(key.clone()))?;
        }
    }
    check_files(spec)
}

/// The longest part of the path of a file: file systems allow 255 bytes, and the worker adds an ending at first.
const MAX_PATH_PART_BYTES: usize = 240;

/// Refuses a file that is the folder of another one, and names that no file system has.
fn check_paths(spec: &TaskSpec) -> Result<(), InvalidSpec> {
    let resources = spec.resources.iter().map(|resource| &resource.local_path);
    let all: BTreeSet<&String> = spec.files.keys().chain(resources).collect();
    for path in spec.files.keys() {
        if path.split('/').any(|part| part.len() > MAX_PATH_PART_BYTES) {
            return Err(InvalidSpec::PathPartTooLong(path.clone()));
        }
        let folder = format!("{path}/");
        if let Some(inner) = all.iter().find(|other| other.starts_with(&folder)) {
            return Err(InvalidSpec::FileAndFolder(path.clone(), (*inner).clone()));
        }
        let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        if let Some(file) = folders.into_iter().find(|folder| all.contains(folder)) {
            return Err(InvalidSpec::FileAndFolder(file, path.clone()));
        }
    }
    Ok(())
}

fn check_files(spec: &TaskSpec) -> Result<(), InvalidSpec> {
    if spec.files.len() > limits::MAX_FILES {
        return Err(InvalidSpec::TooManyFiles { count: spec.files.len() });
    }
    let bytes = spec.files.values().map(String::len).sum();
    if bytes > limits::MAX_FILES_BYTES {
        return Err(InvalidSpec::FilesTooLong { bytes });
    }
    let is_resource = |path: &String| spec.resources.iter().any(|resource| resource.local_path == *path);
    for (path, text) in &spec.files {
        check_local_path(path)?;
        if is_resource(path) {
            return Err(InvalidSpec::RepeatedPath(path.clone()));
        }
        if text.contains('\0') {
            return Err(InvalidSpec::Nul { place: format!("the text of the file {path:?}") });
        }
    }
    check_paths(spec)?;
    match &spec.stdin {
        Some(path) if !spec.files.contains_key(path) && !is_resource(path) => {
            Err(InvalidSpec::UnknownInput(path.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_command(spec: &TaskSpec) -> Result<(), InvalidSpec> {
    let mut total = 0;
    for (index, argument) in spec.args.iter().enumerate() {
        if argument.contains('\0') {
            return Err(InvalidSpec::Nul { place: format!("argument {index}") });
        }
        if argument.len() > limits::MAX_ARGUMENT_BYTES {
            return Err(InvalidSpec::ArgumentTooLong { index, bytes: argument.len() });
        }
        total += argument.len() + 1;
    }
    for (key, value) in &spec.envs {
        if key.contains('\0') || value.contains('\0') {
            return Err(InvalidSpec::Nul { place: format!("variable {key:?}") });
        }
        if key.is_empty() || key.contains('=') {
            return Err(InvalidSpec::VariableName(key.clone()));
        }
        let bytes = key.len() + value.len() + 1;
        if bytes > limits::MAX_ARGUMENT_BYTES {
            return Err(InvalidSpec::VariableTooLong { key: key.clone(), bytes });
        }
        total += bytes + 1;
    }
    if total > limits::MAX_COMMAND_BYTES { Err(InvalidSpec::CommandTooLong { bytes: total }) } else { Ok(()) }
}

fn check_secrets(spec: &TaskSpec) -> Result<(), InvalidSpec> {
    if spec.secrets.len() > MAX_SECRETS_OF_TASK {
        return Err(InvalidSpec::TooManySecrets { count: spec.secrets.len() });
    }
    for (variable, secret) in &spec.secrets {
        if let Some(wrong) = [variable, secret].into_iter().find(|name| !secret::is_name(name)) {
            return Err(InvalidSpec::SecretName(wrong.clone()));
        }
        if spec.envs.contains_key(variable) {
            return Err(InvalidSpec::SecretAndVariable(variable.clone()));
        }
    }
    Ok(())
}

fn check_params(params: &BTreeMap<String, String>) -> Result<(), InvalidSpec> {
    if params.len() > limits::MAX_PARAMS {
        return Err(InvalidSpec::TooManyParams { count: params.len() });
    }
    if let Some((name, _)) = params.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(InvalidSpec::Nul { place: format!("parameter {name:?}") });
    }
    let bytes = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::MAX_PARAMS_BYTES { Err(InvalidSpec::ParamsTooLong { bytes }) } else { Ok(()) }
}

fn check_directory(path: &str) -> Result<(), InvalidSpec> {
    let fits = path.starts_with('/') && !path.contains('\0') && path.len() <= limits::MAX_DIRECTORY_BYTES;
    if fits { Ok(()) } else { Err(InvalidSpec::Directory(path.to_owned())) }
}

/// Checks a path below the resource directory of a task.
pub fn check_local_path(path: &str) -> Result<(), InvalidSpec> {
    let mut parts = Path::new(path).components().peekable();
    let inside = parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        && Path::new(path).file_name().is_some()
        && !path.ends_with('/')
        && !path.contains('\0')
        && path.len() < 4096;
    if inside { Ok(()) } else { Err(InvalidSpec::LocalPath(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::task::ResourceDownload;

    use super::*;

    #[test]
    fn parameters_are_bounded() {
        let with = |count: usize, value: &str| TaskSpec {
            params: (0..count).map(|at| (format!("p{at}"), value.to_owned())).collect(),
            ..command(&["true"])
        };
        assert_eq!(check(&with(256, "1")), Ok(()));
        assert_eq!(check(&with(257, "1")), Err(InvalidSpec::TooManyParams { count: 257 }));
        let long = "x".repeat(256 * 1024 - 2);
        assert_eq!(check(&with(1, &long)), Ok(()));
        assert_eq!(check(&with(1, &(long + "x"))), Err(InvalidSpec::ParamsTooLong { bytes: 256 * 1024 + 1 }));
        assert!(matches!(check(&with(1, "\0")), Err(InvalidSpec::Nul { .. })));
    }

    #[test]
    fn secrets_are_named_like_variables_and_bounded() {
        let with = |variable: &str, secret: &str| {
            let secrets = BTreeMap::from([(variable.to_owned(), secret.to_owned())]);
            let envs = BTreeMap::from([("SET".to_owned(), String::new())]);
            check(&TaskSpec { secrets, envs, ..command(&["true"]) })
        };
        assert_eq!(with("TOKEN", "_token2"), Ok(()));
        for wrong in ["", "2x", "a-b", "a=b", "é", "a\0"] {
            assert_eq!(with(wrong, "A"), Err(InvalidSpec::SecretName(wrong.to_owned())));
            assert_eq!(with("A", wrong), Err(InvalidSpec::SecretName(wrong.to_owned())));
        }
        assert_eq!(with("SET", "A"), Err(InvalidSpec::SecretAndVariable("SET".to_owned())));
        let many = |count: usize| TaskSpec {
            secrets: (0..count).map(|at| (format!("S{at}"), "A".to_owned())).collect(),
            ..command(&["true"])
        };
        assert_eq!(check(&many(32)), Ok(()));
        assert_eq!(check(&many(33)), Err(InvalidSpec::TooManySecrets { count: 33 }));
    }

    #[test]
    fn zero_lost_after_is_refused() {
        let with = |lost_after| check(&TaskSpec { lost_after, ..command(&["true"]) });
        assert_eq!(with(Some(Duration::ZERO)), Err(InvalidSpec::NoLostAfter));
        assert_eq!(with(Some(Duration::from_secs(1))), Ok(()));
    }

    #[test]
    fn files_are_bounded_and_the_input_is_one_of_them() {
        let with = |files: &[(&str, &str)], stdin: Option<&str>| {
            let pair = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
            check(&TaskSpec {
                files: files.iter().map(pair).collect(),
                stdin: stdin.map(str::to_owned),
                resources: vec![ResourceDownload {
                    remote_file: RemoteFile::Attachment { key: "in.csv".into() },
                    local_path: "in.csv".into(),
                }],
                ..command(&["true"])
            })
        };
        assert_eq!(with(&[("a.sh", "true"), ("b/c", "")], Some("b/c")), Ok(()));
        assert_eq!(with(&[], Some("in.csv")), Ok(()));
        assert_eq!(with(&[], Some("a")), Err(InvalidSpec::UnknownInput("a".into())));
        assert_eq!(with(&[("in.csv", "")], None), Err(InvalidSpec::RepeatedPath("in.csv".into())));
        let nested = |file: &str, inner: &str| Err(InvalidSpec::FileAndFolder(file.into(), inner.into()));
        assert_eq!(with(&[("a", ""), ("a/b", "")], None), nested("a", "a/b"));
        assert_eq!(
            with(&[("in.csv/x", "")], None),
            nested("in.csv", "in.csv/x"),
            "a resource is a file, too"
        );
        assert_eq!(with(&[("a", ""), ("ab", ""), ("c/d", ""), ("c/e", "")], None), Ok(()));
        let long = "n".repeat(241);
        assert_eq!(with(&[(&long, "")], None), Err(InvalidSpec::PathPartTooLong(long.clone())));
        assert_eq!(with(&[(&long[1..], "")], None), Ok(()));
        assert_eq!(with(&[("../a", "")], None), Err(InvalidSpec::LocalPath("../a".into())));
        assert!(matches!(with(&[("a", "\0")], None), Err(InvalidSpec::Nul { .. })));
        let half = "x".repeat(32 * 1024);
        assert_eq!(with(&[("a", &half), ("b", &half)], None), Ok(()));
        let more = [("a", &*half), ("b", &half), ("c", "x")];
        assert_eq!(with(&more, None), Err(InvalidSpec::FilesTooLong { bytes: 64 * 1024 + 1 }));
        let names: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(with(&many, None), Err(InvalidSpec::TooManyFiles { count: 17 }));
    }

    #[test]
    fn directory_is_an_absolute_path() {
        let with = |path: &str| {
            check(&TaskSpec { directory: Some(TaskDirectory::Prefer(path.to_owned())), ..command(&["true"]) })
        };
        for right in ["/", "/home/ann/a b", "/{x}"] {
            assert_eq!(with(right), Ok(()), "{right}");
        }
        let long = format!("/{}", "x".repeat(4096));
        for wrong in ["", "work", "./work", "/a\0b", &long] {
            assert_eq!(with(wrong), Err(InvalidSpec::Directory(wrong.to_owned())), "{wrong:?}");
        }
    }

    fn command(args: &[&str]) -> TaskSpec {
        TaskSpec { args: args.iter().map(ToString::to_string).collect(), ..TaskSpec::default() }
    }

    #[test]
    fn command_beyond_system_limits_is_refused() {
        assert_eq!(check(&command(&["echo", "hi"])), Ok(()));
        assert_eq!(check(&command(&[])), Ok(()), "an empty command prints the environment");
        let long = "x".repeat(200 * 1024);
        assert!(matches!(
            check(&command(&["echo", &long])),
            Err(InvalidSpec::ArgumentTooLong { index: 1, .. })
        ));
        let many = vec!["x".repeat(100_000); 20];
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(matches!(check(&command(&many)), Err(InvalidSpec::CommandTooLong { .. })));
        assert!(matches!(check(&command(&["a\0b"])), Err(InvalidSpec::Nul { .. })));
        let mut named_badly = command(&["true"]);
        named_badly.envs.insert("A=B".into(), "c".into());
        assert!(matches!(check(&named_badly), Err(InvalidSpec::VariableName(_))));
    }

    #[test]
    fn resource_paths_stay_inside_the_directory() {
        let fetching = |path: &str| TaskSpec {
            resources: vec![ResourceDownload {
                remote_file: RemoteFile::Attachment { key: "in/a.bin".into() },
                local_path: path.into(),
            }],
            ..command(&["true"])
        };
        for inside in ["a.bin", "in/a.bin", "./a", "...", "a..b"] {
            assert_eq!(check(&fetching(inside)), Ok(()), "{inside}");
        }
        for outside in ["", "/etc/passwd", "../a", "a/../../b", "a/..", ".", "a/", "a\0"] {
            assert!(matches!(check(&fetching(outside)), Err(InvalidSpec::LocalPath(_))), "{outside:?}");
        }
    }
}
