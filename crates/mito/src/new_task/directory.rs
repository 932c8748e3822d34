//! The directory where a submission is made, and that of its task.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mitosis_protocol::task::TaskDirectory;
use mitosis_sweep::absolute_directory;

use crate::cli::task::PlaceArgs;
use crate::config::Environment;
use crate::process::failure::Failure;

/// The current directory; none if it was removed or is not valid UTF-8. `PWD` has the path as the user knows it, without
/// resolved links: another machine may have other links.
pub(crate) fn current(environment: &Environment) -> Option<String> {
    let id = |path: &str| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let named = environment.text("PWD").filter(|path| Path::new(path).is_absolute());
    match named.filter(|path| id(path).is_some_and(|named| id(".") == Some(named))) {
        Some(path) => Some(path.to_owned()),
        None => std::env::current_dir().ok()?.into_os_string().into_string().ok(),
    }
}

/// The directory of a task: the one of `--chdir`, a fresh one, or preferably the current one.
pub(super) fn of_task(args: &PlaceArgs, environment: &Environment) -> Result<Option<TaskDirectory>, Failure> {
    let current = current(environment);
    Ok(Some(match (&args.chdir, args.fresh_dir, current) {
        (Some(directory), _, current) => {
            TaskDirectory::Require(absolute_directory(current.as_deref(), directory)?)
        }
        (None, false, Some(current)) => TaskDirectory::Prefer(current),
        (None, true, _) | (None, false, None) => TaskDirectory::Fresh,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_the_current_directory_is_that_of_the_user() {
        let real = std::env::current_dir().unwrap();
        let real = real.to_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(real, &link).unwrap();
        let link = link.to_str().unwrap();
        for (pwd, expected) in [(link, link), (real, real), ("/", real), ("relative", real), ("", real)] {
            let environment = Environment::from([("PWD", pwd)]);
            assert_eq!(current(&environment).as_deref(), Some(expected), "{pwd:?}");
        }
    }
}
