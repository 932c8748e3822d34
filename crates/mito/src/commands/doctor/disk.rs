//! Checks the free disk space of the directories that mito writes to.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;
use crate::show;

const CHECK: &str = "disk";
/// The least number of free inodes.
const MIN_FREE_FILES: u64 = 1000;

/// The free resources of a file system.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    /// The free inodes; none if the file system does not count them.
    files: Option<u64>,
}

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let environment = context.environment;
    let credentials = &context.config.credentials;
    let folders = [
        // That of a coordinator beside this one, too: `mito dev` keeps its tokens where its state is.
        ("tokens", credentials.parent().unwrap_or(credentials).to_owned()),
        ("scratch data and logs", environment.cache_folder()),
        ("state", environment.data_folder()),
        ("temporary files", std::env::temp_dir()),
    ];
    let found = folders.map(|(what, folder)| (what, folder.clone(), room(&folder)));
    judge(&found, context.min_free.saturating_mul(1_000_000))
}

/// Measures the nearest existing parent of a directory.
fn room(folder: &Path) -> nix::Result<Room> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = statvfs(there)?;
    let files = (found.files() > 0).then(|| found.files_available());
    Ok(Room { bytes: found.blocks_available().saturating_mul(found.fragment_size()), files })
}

fn judge(found: &[(&str, PathBuf, nix::Result<Room>)], wanted: u64) -> Finding {
    let mut little = Vec::new();
    for (what, folder, room) in found {
        let folder = folder.display();
        match room {
            Ok(Room { bytes, .. }) if *bytes < wanted => little.push(format!(
                "{} left for {what} in {folder}",
                show::bytes(i64::try_from(*bytes).unwrap_or(i64::MAX))
            )),
            Ok(Room { files: Some(files), .. }) if *files < MIN_FREE_FILES => {
                little.push(format!("only {files} more files possible for {what} in {folder}"));
            }
            Ok(_) => {}
            Err(error) => little.push(format!("cannot check {folder}: {error}")),
        }
    }
    match little.is_empty() {
        true => Finding::ok(CHECK, "enough free space for scratch data, state and temporary files"),
        false => Finding::fail(CHECK, Exit::Failure, little.join("; ")).hint(
            "free disk space, or set XDG_CACHE_HOME, XDG_DATA_HOME and TMPDIR to directories that have enough; \
             --min-free sets the limit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn low_space_and_few_inodes_are_failures() {
        let verdict =
            |bytes, files| judge(&[("state", "/x".into(), Ok(Room { bytes, files }))], 1_000_000).verdict();
        assert_eq!(verdict(1_000_000, None), Verdict::Ok);
        assert_eq!(verdict(999_999, None), Verdict::Fail(Exit::Failure));
        assert_eq!(verdict(u64::MAX, Some(999)), Verdict::Fail(Exit::Failure));
        assert_eq!(verdict(u64::MAX, Some(1000)), Verdict::Ok);
    }

    #[test]
    fn missing_directory_is_measured_at_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        assert!(room(&folder.path().join("not/there")).unwrap().bytes > 0);
    }
}
