//! Removes directories that a task left behind, regardless of their permissions.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The permissions of the owner of a directory.
pub(crate) const OWNER: u32 = 0o700;

/// Removes a directory with all its contents. Missing permissions of the owner are restored first.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            if let Some(parent) = path.parent() {
                make_writable(parent);
            }
            make_all_writable(path);
            std::fs::remove_dir_all(path)
        }
        removed => removed,
    }
}

/// Makes all directories below `root` writable, without following links. Directories of another owner are left.
fn make_all_writable(root: &Path) {
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        make_writable(&folder);
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let inner = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
}

/// Restores the owner's permissions on a directory. A directory that can't be changed is left.
pub(crate) fn make_writable(folder: &Path) {
    let Ok(found) = std::fs::symlink_metadata(folder) else { return };
    let mode = found.permissions().mode();
    if found.is_dir()
        && mode & OWNER != OWNER
        && let Err(error) = std::fs::set_permissions(folder, Permissions::from_mode(mode | OWNER))
    {
        tracing::debug!(%error, folder = %folder.display(), "failed to make a directory writable");
    }
}
