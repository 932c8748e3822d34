//! Finds the program of a command (semantics §7.3).
//!
//! A task's arguments are those of `/usr/bin/env`. Where `env` would only search PATH, the program is found
//! here and started directly, which saves one process image for each task. Everything else, and every error, is
//! left to `env`.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The file that `env` would start for these arguments, in the simple case.
pub(super) fn find(args: &[String], path: Option<&OsStr>) -> Option<PathBuf> {
    let name = args.first()?;
    let plain = !name.is_empty() && !name.starts_with('-') && !name.contains(['=', '/']);
    if !plain {
        return None;
    }
    std::env::split_paths(path?)
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

    fn found(args: &[&str], path: &str) -> Option<PathBuf> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        find(&args, Some(OsStr::new(path)))
    }

    #[test]
    fn plain_name_is_the_first_executable_in_path() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = format!("{}:{}", first.path().display(), second.path().display());
        let file = |folder: &tempfile::TempDir, mode| {
            let file = folder.path().join("tool");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        assert_eq!(found(&["tool"], &path), None);
        let later = file(&second, 0o755);
        file(&first, 0o644);
        assert_eq!(found(&["tool", "x"], &path), Some(later));
        let earlier = file(&first, 0o755);
        assert_eq!(found(&["tool"], &path), Some(earlier));
    }

    #[test]
    fn other_commands_are_left_to_env() {
        for args in [&["A=b", "true"][..], &["-i", "true"], &["/bin/true"], &["./true"], &[""], &[]] {
            assert_eq!(found(args, "/usr/bin:/bin"), None, "{args:?}");
        }
        assert_eq!(find(&["true".to_owned()], None), None);
        assert_eq!(found(&["true"], "bin:."), None, "a relative folder depends on where the command starts");
    }
}
