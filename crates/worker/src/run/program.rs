//! Finds the program file of a command (semantics §7.3).
//!
//! A task's arguments are those of `/usr/bin/env`. If `env` would only set variables and start a program, the
//! worker does so itself, which saves one `exec` for each task. It leaves options and errors to `env`.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A command that needs no `env`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program<'a> {
    /// The file to start: absolute, or relative to the working directory if it was written with a slash.
    pub(super) file: PathBuf,
    /// The name as written, which is the first argument that the program sees.
    pub(super) name: &'a str,
    pub(super) args: &'a [String],
    /// Variables set before the command. They override all others; the last one of each name counts.
    pub(super) variables: Vec<(&'a str, &'a str)>,
}

impl<'a> Program<'a> {
    /// The program that `env` would start for these arguments; none if only `env` can decide. `path` is the PATH of the
    /// command's environment, unless the arguments set another one.
    pub(super) fn find(args: &'a [String], path: Option<&OsStr>) -> Option<Self> {
        if args.first()?.starts_with('-') {
            return None;
        }
        let variables: Vec<_> = args.iter().map_while(|arg| arg.split_once('=')).collect();
        let (name, args) = args[variables.len()..].split_first()?;
        if name.is_empty() || name.starts_with('-') || variables.iter().any(|(name, _)| name.is_empty()) {
            return None;
        }
        let last_path = variables.iter().rev().find(|(name, _)| *name == "PATH");
        let path = last_path.map(|(_, path)| OsStr::new(*path)).or(path);
        let file = match name.contains('/') {
            true => PathBuf::from(name),
            false => along(path?, name)?,
        };
        Some(Self { file, name, args, variables })
    }
}

/// The first executable file of that name along the path.
fn along(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(ToString::to_string).collect()
    }

    fn found(args: &[&str], path: &str) -> Option<PathBuf> {
        Program::find(&strings(args), Some(OsStr::new(path))).map(|program| program.file)
    }

    fn tool(folder: &tempfile::TempDir, mode: u32) -> PathBuf {
        let file = folder.path().join("tool");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn plain_name_is_the_first_executable_file_along_the_path() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = format!("{}:{}", first.path().display(), second.path().display());
        assert_eq!(found(&["tool"], &path), None);
        let later = tool(&second, 0o755);
        tool(&first, 0o644);
        assert_eq!(found(&["tool", "x"], &path), Some(later));
        let earlier = tool(&first, 0o755);
        assert_eq!(found(&["tool"], &path), Some(earlier));
    }

    #[test]
    fn name_with_a_slash_is_a_file() {
        for name in ["/bin/true", "./true", "a/b"] {
            assert_eq!(found(&[name, "x"], ""), Some(PathBuf::from(name)));
        }
    }

    #[test]
    fn variables_in_front_of_the_command_are_set_and_choose_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = tool(&folder, 0o755);
        let path = format!("PATH={}", folder.path().display());
        let args = strings(&["A=b=c", "PATH=/nowhere", &path, "B=", "tool", "X=y"]);
        let program = Program::find(&args, Some(OsStr::new("/bin"))).unwrap();
        assert_eq!((program.file, program.name), (file, "tool"));
        assert_eq!(program.args, ["X=y"]);
        let set = [("A", "b=c"), ("PATH", "/nowhere"), ("PATH", &path[5..]), ("B", "")];
        assert_eq!(program.variables, set);
    }

    #[test]
    fn what_is_less_plain_is_left_to_env() {
        let path = "/usr/bin:/bin";
        for args in
            [&["A=b"][..], &["A=b", "-x"], &["=b", "true"], &["-i", "true"], &["--", "true"], &[""], &[]]
        {
            assert_eq!(found(args, path), None, "{args:?}");
        }
        assert_eq!(Program::find(&strings(&["true"]), None), None);
        assert_eq!(found(&["true"], "bin:."), None, "a relative folder depends on where the command starts");
    }
}
