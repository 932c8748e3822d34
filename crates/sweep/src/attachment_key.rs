//! Keys of attachments in job files and on the command line.

use std::path::{Component, Path, PathBuf};

use super::error::Error;

/// Normalises the key of an attachment. A key that leads out of its group is refused, as it would be another key than
/// the given one.
pub fn attachment_key(text: &str) -> Result<String, String> {
    let mut depth = 0_u32;
    for part in Path::new(text).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => {
                return Err(format!(
                    "invalid key `{text}`: `..` leads out of the group; a key is a path within it, such as data/in.csv"
                ));
            }
            Component::ParentDir => depth -= 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(cleaned_key(text))
}

/// Removes `.` and `..` from a key: `a/./b/../c` becomes `a/c`. Leading `..` are dropped.
pub fn cleaned_key(key: &str) -> String {
    let mut clean = PathBuf::new();
    for part in Path::new(key).components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(part) => clean.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean.to_string_lossy().into_owned()
}

/// Returns the name of a file as a part of a key. A name that is not UTF-8 is refused: a lossy conversion could give
/// two files one name.
pub fn file_name(file: &Path) -> Result<&str, Error> {
    let name = file.file_name().unwrap_or_default();
    name.to_str().ok_or_else(|| {
        Error::input(format!("the name of {} is not UTF-8", file.display())).with_hint("give it a key")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_not_utf8_is_refused_as_a_key() {
        use std::os::unix::ffi::OsStrExt as _;
        let file = Path::new(std::ffi::OsStr::from_bytes(b"data/\xff.csv"));
        assert!(matches!(file_name(file), Err(Error::Input { .. })));
        assert_eq!(file_name(Path::new("data/in.csv")).expect("UTF-8"), "in.csv");
    }

    #[test]
    fn key_that_leads_out_of_its_group_is_refused() {
        assert_eq!(attachment_key("a/./b/../c"), Ok("a/c".to_owned()));
        for wrong in ["..", "../x", "a/../../x"] {
            assert!(attachment_key(wrong).is_err(), "{wrong}");
        }
    }
}
