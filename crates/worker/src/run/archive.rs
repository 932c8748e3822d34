//! Packing what a task leaves behind (semantics §8).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

type Archive = Builder<GzEncoder<File>>;

/// Packs the tree under `folder` as `top/…` into `target`, unless it is empty; answers whether there was
/// anything. Symbolic links are replaced by the file they point to; what can't be packed (a dangling
/// link, a socket, a link to a folder above it) is left out and logged.
pub(super) fn pack_tree(folder: &Path, top: &str, target: &Path) -> io::Result<bool> {
    if fs::read_dir(folder)?.next().is_none() {
        return Ok(false);
    }
    let mut archive = create(target)?;
    archive.append_dir(top, folder)?;
    add_folder(&mut archive, folder, Path::new(top))?;
    finish(archive)?;
    Ok(true)
}

/// Packs the two streams into `target`.
pub(super) fn pack_streams(stdout: &Path, stderr: &Path, target: &Path) -> io::Result<()> {
    let mut archive = create(target)?;
    add_stream(&mut archive, stdout, "std-log/stdout.log")?;
    add_stream(&mut archive, stderr, "std-log/stderr.log")?;
    finish(archive)
}

fn create(target: &Path) -> io::Result<Archive> {
    Ok(Builder::new(GzEncoder::new(File::create(target)?, Compression::default())))
}

fn finish(archive: Archive) -> io::Result<()> {
    archive.into_inner()?.finish()?;
    Ok(())
}

fn add_folder(archive: &mut Archive, folder: &Path, name: &Path) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => archive.append_file(&name, &mut File::open(&path)?)?,
            Ok(found) if found.is_dir() && !entry.file_type()?.is_symlink() => {
                archive.append_dir(&name, &path)?;
                add_folder(archive, &path, &name)?;
            }
            _ => tracing::warn!(path = %path.display(), "left out: neither a file nor a folder"),
        }
    }
    Ok(())
}

/// Exactly the bytes that are there now: something that escaped its group may still be writing.
fn add_stream(archive: &mut Archive, path: &Path, name: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o664);
    header.set_mtime(0);
    header.set_size(length);
    archive.append_data(&mut header, name, io::Read::take(file, length))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use flate2::read::GzDecoder;

    use super::*;

    fn unpacked(path: &Path) -> BTreeMap<String, (u32, String)> {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = entry.path().unwrap().display().to_string();
            found.insert(name, (entry.header().mode().unwrap() & 0o777, content));
        }
        found
    }

    #[test]
    fn a_tree_keeps_modes_follows_links_to_files_and_leaves_out_what_can_t_be_packed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("result");
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::write(tree.join("deep/er/run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(tree.join("deep/er/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("deep/er/run.sh", tree.join("link")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        symlink(".", tree.join("circle")).unwrap();
        let long = "n".repeat(200);
        fs::write(tree.join(&long), "long name").unwrap();

        let target = folder.path().join("result.tar.gz");
        assert!(pack_tree(&tree, "result", &target).unwrap());
        let found = unpacked(&target);
        assert_eq!(found["result/deep/er/run.sh"], (0o750, "#!/bin/sh\n".to_owned()));
        assert_eq!(found["result/link"].1, "#!/bin/sh\n");
        assert_eq!(found[&format!("result/{long}")].1, "long name");
        assert!(!found.keys().any(|name| name.contains("dangling") || name.contains("circle")), "{found:?}");
    }

    #[test]
    fn an_empty_tree_leaves_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.tar.gz");
        assert!(!pack_tree(folder.path(), "result", &target).unwrap());
        assert!(!target.exists());
    }

    #[test]
    fn the_streams_are_there_even_if_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (out, err, target) = (folder.path().join("o"), folder.path().join("e"), folder.path().join("t"));
        fs::write(&out, "hello").unwrap();
        fs::write(&err, "").unwrap();
        pack_streams(&out, &err, &target).unwrap();
        let found = unpacked(&target);
        assert_eq!(found.len(), 2);
        assert_eq!(found["std-log/stdout.log"], (0o664, "hello".to_owned()));
        assert_eq!(found["std-log/stderr.log"], (0o664, String::new()));
    }
}
