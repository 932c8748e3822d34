//! Files of log lines that do not grow without end.
//!
//! A worker writes to its file itself, not through the supervisor: so it never waits for a reader, and
//! its last words are kept when the supervisor is gone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::place::private;

/// A file that is longer is moved away; one older file is kept.
const LONGEST: u64 = 8 << 20;

/// Opens a file so that several can add lines to it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    private().append(true).create(true).open(path)
}

/// Where the older lines are.
pub(crate) fn older(path: &Path) -> PathBuf {
    path.with_extension("log.old")
}

/// Moves the lines of a long file to the older one. Those who have it open go on writing at its new end;
/// a line written at this very moment can be lost.
pub(crate) fn trim(path: &Path) -> io::Result<()> {
    trim_to(path, LONGEST)
}

fn trim_to(path: &Path, longest: u64) -> io::Result<()> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        found => found?.len(),
    };
    if length <= longest {
        return Ok(());
    }
    fs::copy(path, older(path))?;
    private().write(true).truncate(true).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_long_file_is_moved_away_under_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker-1.log");
        trim_to(&path, 8).unwrap();
        let mut writer = open(&path).unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        trim_to(&path, 8).unwrap();
        writer.write_all(b"three\n").unwrap();
        trim_to(&path, 8).unwrap();
        writer.write_all(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        assert_eq!(fs::read_to_string(older(&path)).unwrap(), "one\ntwo\nthree\n");
    }
}
