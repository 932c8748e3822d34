//! Log files with a limited size.
//!
//! A worker writes to its file itself, not through the supervisor: it never waits for a reader, and its last lines are
//! kept when the supervisor has exited.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::state_dir::private;

/// A longer file is rotated; one older file is kept.
const MAX_BYTES: u64 = 8 << 20;

/// Opens a file so that several processes can append lines to it.
pub fn open(path: &Path) -> io::Result<File> {
    private().append(true).create(true).open(path)
}

/// The file with the older lines.
pub fn older(path: &Path) -> PathBuf {
    path.with_extension("log.old")
}

/// Moves the lines of a file that is too long to the older one. Processes that have it open continue at its new end; a
/// line written at this moment can be lost.
pub fn trim(path: &Path) -> io::Result<()> {
    trim_to(path, MAX_BYTES)
}

fn trim_to(path: &Path, max: u64) -> io::Result<()> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        found => found?.len(),
    };
    if length <= max {
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
    fn long_file_is_rotated_while_it_is_written() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("worker-1.log");
        let trim = || trim_to(&path, 8).expect("trimmed");
        trim();
        let mut writer = open(&path).expect("a log");
        let mut write = |text: &[u8]| writer.write_all(text).expect("written");
        write(b"one\ntwo\n");
        trim();
        write(b"three\n");
        trim();
        write(b"four\n");
        let read = |path: &Path| fs::read_to_string(path).expect("a log");
        assert_eq!(read(&path), "four\n");
        assert_eq!(read(&older(&path)), "one\ntwo\nthree\n");
    }
}
