//! Extracts downloaded archives, each into a new folder.
//!
//! Archives come from other users, so nothing is written outside of the folder, and no link in it leads out of it. An
//! existing folder is never changed.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use mitosis_client::{OnBytes, UserClient};
use tar::{Archive, EntryType};

use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Downloads an archive and extracts it into a new folder. Returns the size of the archive. The folder appears when all of
/// it is extracted.
pub(super) async fn fetch(
    client: &UserClient,
    url: &str,
    folder: &Path,
    on_bytes: OnBytes,
) -> Result<u64, Failure> {
    require_absent(folder)?;
    let parent = parent(folder);
    let cant_create =
        |error| Failure::io(format!("cannot create a directory in {}", parent.display()), error);
    fs::create_dir_all(parent).map_err(cant_create)?;
    let scratch =
        tempfile::Builder::new().prefix(".mito-extract-").tempdir_in(parent).map_err(cant_create)?;
    let archive = scratch.path().join("archive.tar.gz");
    let size = client.client().download_with_progress(url, &archive, on_bytes).await?;
    let target = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        let files = scratch.path().join("files");
        extract(&archive, &files)
            .map_err(|error| Failure::io(format!("cannot extract {}", target.display()), error))?;
        publish(&files, &target)
    })
    .await
    .map_err(|error| Failure::new(Exit::Fault, error))??;
    Ok(size)
}

fn parent(folder: &Path) -> &Path {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn require_absent(folder: &Path) -> Result<(), Failure> {
    match folder.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format!("cannot read {}", folder.display()), error)),
        Ok(_) => Err(exists(folder)),
    }
}

fn exists(folder: &Path) -> Failure {
    Failure::new(Exit::Failure, format!("{} exists, and is not changed", folder.display()))
        .with_hint("remove it, or choose another directory with `-o`")
}

/// Moves the extracted files to their folder, which must not exist.
fn publish(files: &Path, folder: &Path) -> Result<(), Failure> {
    // Fails if the folder exists. The move replaces the empty folder, but no other one.
    fs::create_dir(folder).and_then(|()| fs::rename(files, folder)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => exists(folder),
        _ => Failure::io(format!("cannot create the directory {}", folder.display()), error),
    })
}

/// Extracts an archive into a new folder.
fn extract(archive: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    let mut links = Vec::new();
    // Links are created after all files, so that no file is written through one.
    for want_links in [false, true] {
        let mut archive = Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let is_link = match entry.header().entry_type() {
                EntryType::Symlink => true,
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Directory => {
                    false
                }
                EntryType::XGlobalHeader => continue,
                _ => return Err(refused(&path, "is not a file, a directory or a symbolic link")),
            };
            if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
                return Err(refused(&path, "leads out of the folder"));
            }
            if is_link != want_links {
                continue;
            }
            if !entry.unpack_in(folder)? {
                return Err(refused(&path, "leads out of the folder"));
            }
            if is_link {
                links.push(path);
            }
        }
    }
    check_links(folder, &links)
}

/// Checks that all links lead to something in the folder.
fn check_links(folder: &Path, links: &[PathBuf]) -> io::Result<()> {
    let root = folder.canonicalize()?;
    for link in links {
        let is_absolute = fs::read_link(folder.join(link))?.is_absolute();
        let target = folder.join(link).canonicalize();
        if is_absolute || !target.is_ok_and(|target| target.starts_with(&root)) {
            return Err(refused(link, "is a link that leads out of the folder, or nowhere"));
        }
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}` in the archive {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::Header;

    use super::*;

    /// Writes entries with their types, names and link targets, without checks.
    fn archive(folder: &Path, entries: &[(EntryType, &str, &str)]) -> PathBuf {
        let path = folder.join("hostile.tar.gz");
        let mut builder =
            tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for (kind, name, target) in entries {
            let mut header = Header::new_gnu();
            let bytes: &[u8] = if kind.is_file() { b"hello" } else { b"" };
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        path
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;

    #[test]
    fn hostile_archive_writes_nothing_outside_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), "unharmed").unwrap();
        let absolute = format!("{}/made", outside.display());
        let target = outside.display().to_string();
        let cases: &[&[(EntryType, &str, &str)]] = &[
            &[(FILE, "../outside/made", "")],
            &[(FILE, "a/../../outside/made", "")],
            &[(FILE, &absolute, "")],
            &[(LINK, "out", &target)],
            &[(LINK, "out", "../outside")],
            &[(LINK, "out", "/")],
            &[(LINK, "out", "nowhere")],
            &[(LINK, "out", &target), (FILE, "out/made", "")],
            &[(FILE, "out/made", ""), (LINK, "out", &target)],
            &[(LINK, "out", "../outside"), (LINK, "out/made", "victim")],
            // Each of the links stays inside when `..` is resolved in the text.
            &[(EntryType::Directory, "d", ""), (LINK, "d/a", ".."), (LINK, "b", "d/a/../..")],
            &[(EntryType::Link, "hard", "../outside/victim")],
            &[(EntryType::Fifo, "fifo", "")],
            &[(EntryType::Char, "null", "")],
        ];
        for (number, case) in cases.iter().enumerate() {
            let folder = home.path().join(format!("case-{number}"));
            assert!(extract(&archive(home.path(), case), &folder).is_err(), "{case:?}");
            let left: Vec<_> =
                fs::read_dir(&outside).unwrap().map(|file| file.unwrap().file_name()).collect();
            assert_eq!(left, ["victim"], "{case:?}");
            assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "unharmed");
        }
    }

    #[test]
    fn links_inside_of_the_folder_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let archive =
            archive(home.path(), &[(LINK, "latest", "runs/7"), (FILE, "runs/7/x", ""), (FILE, "./y", "")]);
        let folder = home.path().join("files");
        extract(&archive, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("latest/x")).unwrap(), "hello");
        assert_eq!(fs::read_to_string(folder.join("y")).unwrap(), "hello");
    }

    #[test]
    fn existing_folder_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (files, folder) = (home.path().join("files"), home.path().join("folder"));
        fs::create_dir(&files).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(publish(&files, &folder).unwrap_err().sentence().contains("exists"));
        fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink("files", &folder).unwrap();
        assert!(require_absent(&folder).is_err(), "a link exists, too");
        assert!(publish(&files, &folder).is_err());
        fs::remove_file(&folder).unwrap();
        publish(&files, &folder).unwrap();
    }
}
