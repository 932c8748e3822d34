//! Paths for the directory of a task, which other machines use.

use std::path::{Component, Path, PathBuf};

use super::error::Error;

/// The absolute path of `directory`, which is relative to `base`: the directory where the submission is made. Links are
/// not resolved: another machine may have other ones.
pub fn absolute_directory(base: Option<&str>, directory: &Path) -> Result<String, Error> {
    if directory.as_os_str().is_empty() {
        return Err(
            Error::input("the directory of the task is empty").with_hint("use `.` for the current one")
        );
    }
    let path = match base {
        Some(base) => Path::new(base).join(directory),
        None if directory.is_absolute() => directory.to_owned(),
        None => {
            return Err(Error::input(
                "the current directory has no path in UTF-8, so no path can be relative to it",
            )
            .with_hint("write the directory of the task as an absolute path"));
        }
    };
    let clean: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    match clean.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => Err(Error::input(format!("the directory {} is not valid UTF-8", clean.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_relative_to_the_submission() {
        let path = |base, directory: &str| absolute_directory(base, Path::new(directory));
        for (directory, expected) in [
            (".", "/home/ann"),
            ("./a/./b/", "/home/ann/a/b"),
            ("../raj", "/home/ann/../raj"),
            ("/data", "/data"),
        ] {
            assert_eq!(path(Some("/home/ann"), directory).unwrap(), expected, "{directory}");
        }
        assert_eq!(path(None, "/data").unwrap(), "/data");
        assert!(path(None, "data").is_err() && path(Some("/"), "").is_err());
    }
}
