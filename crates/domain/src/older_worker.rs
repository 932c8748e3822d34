//! Translates a task for workers that don't know its directory, files and standard input.

use mitosis_protocol::task::TaskDirectory;
use mitosis_protocol::{ResourceRequest, TaskSpec};

/// Writes a file; `$1` is its path and `$2` its text.
const FILE: &str = r#"case $1 in */*) mkdir -p -- "$MITO_RESOURCE_DIR/${1%/*}";; esac && printf %s "$2" > "$MITO_RESOURCE_DIR/$1" || exit 126; shift 2; "#;
/// Opens the standard input; `$1` is its path.
const STDIN: &str = r#"exec < "$MITO_RESOURCE_DIR/$1" || exit 126; shift; "#;
/// Changes the directory; `$1` is its path, except for a fresh one.
const PREFER: &str = r#"cd -- "$1" 2>/dev/null || cd -- "$MITO_RESOURCE_DIR" || exit 126; shift; "#;
const REQUIRE: &str = r#"cd -- "$1" || exit 126; shift; "#;
const FRESH: &str = r#"cd -- "$MITO_RESOURCE_DIR" || exit 126; "#;
/// Runs the command.
const RUN: &str = r#"exec /usr/bin/env "$@""#;

/// The same task for a worker that ignores [`TaskSpec::directory`], [`TaskSpec::files`] and [`TaskSpec::stdin`]: its
/// command is a shell that does the same before it runs the command. A missing directory ends it with exit code 126 and a
/// message of the shell.
#[must_use]
pub fn for_older_worker(mut spec: TaskSpec) -> TaskSpec {
    spec.request = ResourceRequest::default();
    let mut script = String::new();
    let mut args = Vec::new();
    for (path, text) in std::mem::take(&mut spec.files) {
        script.push_str(FILE);
        args.extend([path, text]);
    }
    if let Some(path) = spec.stdin.take() {
        script.push_str(STDIN);
        args.push(path);
    }
    match spec.directory.take() {
        None => {}
        Some(TaskDirectory::Fresh) => script.push_str(FRESH),
        Some(TaskDirectory::Prefer(path)) => {
            script.push_str(PREFER);
            args.push(path);
        }
        Some(TaskDirectory::Require(path)) => {
            script.push_str(REQUIRE);
            args.push(path);
        }
    }
    if script.is_empty() {
        return spec;
    }
    script.push_str(RUN);
    let shell = ["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
    spec.args = shell.into_iter().chain(args).chain(spec.args).collect();
    spec
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// A directory with one for a worker and one for resources.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        for name in ["worker", "resource"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        (folder, path)
    }

    /// Runs a task as a worker of 0.6.8 does, in the directory `worker`.
    fn run(spec: TaskSpec, folder: &Path) -> Output {
        let spec = for_older_worker(spec);
        assert!(spec.directory.is_none() && spec.files.is_empty() && spec.stdin.is_none());
        Command::new("/usr/bin/env")
            .args(&spec.args)
            .current_dir(folder.join("worker"))
            .env("MITO_RESOURCE_DIR", folder.join("resource"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn task(args: &[&str]) -> TaskSpec {
        TaskSpec { args: args.iter().map(ToString::to_string).collect(), ..TaskSpec::default() }
    }

    #[test]
    fn ordinary_task_is_unchanged() {
        let spec = task(&["X=1", "true"]);
        assert_eq!(for_older_worker(spec.clone()), spec);
    }

    #[test]
    fn command_starts_in_the_directory_with_any_older_worker() {
        let (_folder, folder) = folder();
        std::fs::create_dir(folder.join("it's \"odd\" $HOME")).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let odd = path("it's \"odd\" $HOME");
        for (directory, expected) in [
            (None, path("worker")),
            (Some(TaskDirectory::Fresh), path("resource")),
            (Some(TaskDirectory::Prefer(odd.clone())), odd.clone()),
            (Some(TaskDirectory::Prefer(path("missing"))), path("resource")),
            (Some(TaskDirectory::Require(odd.clone())), odd.clone()),
        ] {
            let args = ["X=a b", "sh", "-c", "pwd; echo \"$X\""];
            let output = run(TaskSpec { directory: directory.clone(), ..task(&args) }, &folder);
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                format!("{expected}\na b\n"),
                "{directory:?}"
            );
            assert!(output.stderr.is_empty(), "{output:?}");
        }
        let directory = Some(TaskDirectory::Require(path("missing")));
        let output = run(TaskSpec { directory, ..task(&["touch", "never"]) }, &folder);
        assert_eq!(output.status.code(), Some(126));
        assert!(String::from_utf8_lossy(&output.stderr).contains("missing"), "{output:?}");
        assert!(!folder.join("worker/never").exists());
    }

    #[test]
    fn files_and_input_are_those_of_the_task() {
        let (_folder, folder) = folder();
        let odd = "a 'b' \"c\" $HOME `d` \\n %s\n\n";
        let files = BTreeMap::from([
            ("a".to_owned(), odd.to_owned()),
            ("in/deep/b".to_owned(), "x".repeat(60_000)),
            ("-n".to_owned(), String::new()),
        ]);
        let spec = TaskSpec {
            files: files.clone(),
            stdin: Some("a".to_owned()),
            directory: Some(TaskDirectory::Fresh),
            ..task(&["cat", "-", "in/deep/b"])
        };
        let output = run(spec, &folder);
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{odd}{}", files["in/deep/b"]));
        for (path, text) in files {
            assert_eq!(std::fs::read_to_string(folder.join("resource").join(path)).unwrap(), text);
        }
        let spec = TaskSpec { stdin: Some("missing".to_owned()), ..task(&["touch", "never"]) };
        assert!(!run(spec, &folder).status.success());
        assert!(!folder.join("worker/never").exists());
    }
}
