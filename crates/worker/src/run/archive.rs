//! Packs the outputs of a task (semantics §8), and lists the files that are not included. The archive is valid
//! even if the files change meanwhile.

mod streams;

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use mitosis_log_archive::{GzipWriter, Index};
use mitosis_protocol::warning::MAX_WARNING_FILES;
use mitosis_protocol::{ArtifactKind, ResultWarning, WarningCode};
use tar::{Builder, EntryType, Header};
use tempfile::{SpooledData, SpooledTempFile};

pub(super) use self::streams::pack_streams;
use super::safe_open;

/// A packed archive.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) content: Content,
    pub(super) length: u64,
    /// Warnings about files that are not in the archive as the task left them.
    pub(super) warnings: Vec<ResultWarning>,
}

/// The bytes of an archive.
#[derive(Debug)]
pub(super) enum Content {
    /// An archive within [`Target::in_memory`].
    Memory(Bytes),
    /// A larger one, in an unnamed file, which disappears when it is closed.
    File(File),
}

/// Packing stops soon after this is dropped: it can take hours.
#[derive(Debug, Default)]
pub(super) struct Wanted(Arc<AtomicBool>);

/// Whether an archive is still wanted, for the packing thread.
#[derive(Debug, Clone)]
pub(super) struct IsWanted(Arc<AtomicBool>);

impl Wanted {
    pub(super) fn watch(&self) -> IsWanted {
        IsWanted(self.0.clone())
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl IsWanted {
    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(io::Error::other("it is not wanted any more")),
            false => Ok(()),
        }
    }
}

/// Packs the tree below `folder` as `top/…`. Links to files are replaced by the
/// file; links to directories within the tree are kept.
pub(super) fn pack_tree(
    folder: &Path,
    kind: ArtifactKind,
    target: Target<'_>,
    wanted: IsWanted,
) -> io::Result<Packed> {
    let top = Path::new(kind.as_str());
    let mut packer = Packer::new(target, Some(folder), None, wanted)?;
    packer.archive.append_dir(top, folder)?;
    packer.add_folder(folder, top)?;
    packer.finish(kind, |_| None)
}

/// Where an archive is packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The maximum number of bytes that are kept in memory.
    pub(super) in_memory: usize,
    /// The directory for the unnamed file of a larger archive.
    pub(super) folder: &'a Path,
}

struct Packer {
    archive: Builder<GzipWriter<SpooledTempFile>>,
    /// The canonical path of the tree, for links that stay within it.
    root: Option<PathBuf>,
    wanted: IsWanted,
    incomplete: Names,
    left_out: Names,
    omitted: Names,
}

/// The first names of a list, and the number of the others.
#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    more: u64,
}

impl Names {
    fn add(&mut self, name: &Path, why: impl std::fmt::Display) {
        tracing::warn!(name = %name.display(), %why, "a file is not in the archive as the task left it");
        match self.first.len() < MAX_WARNING_FILES {
            true => self.first.push(format!("{} ({why})", name.display())),
            false => self.more += 1,
        }
    }

    fn warning(self, code: WarningCode, kind: ArtifactKind, text: &str) -> Option<ResultWarning> {
        let Self { first: files, more: more_files } = self;
        let warning = ResultWarning::new(code, Some(kind), text);
        (!files.is_empty()).then_some(ResultWarning { files, more_files, ..warning })
    }
}

impl Packer {
    fn new(
        target: Target<'_>,
        folder: Option<&Path>,
        interval: Option<u64>,
        wanted: IsWanted,
    ) -> io::Result<Self> {
        let target = SpooledTempFile::new_in(target.in_memory, target.folder);
        let mut archive = Builder::new(GzipWriter::new(target, interval)?);
        archive.follow_symlinks(false);
        Ok(Self {
            archive,
            root: folder.map(Path::canonicalize).transpose()?,
            wanted,
            incomplete: Names::default(),
            left_out: Names::default(),
            omitted: Names::default(),
        })
    }

    /// Completes the archive, with the index that `index` makes from the restart points.
    fn finish(self, kind: ArtifactKind, index: impl FnOnce(&[u64]) -> Option<Index>) -> io::Result<Packed> {
        let writer = self.archive.into_inner()?;
        let index = index(writer.points());
        let (content, length) = match writer.finish(index.as_ref())?.into_inner() {
            SpooledData::InMemory(bytes) => {
                let bytes = Bytes::from(bytes.into_inner());
                let length = bytes.len() as u64;
                (Content::Memory(bytes), length)
            }
            SpooledData::OnDisk(file) => {
                let length = file.metadata()?.len();
                (Content::File(file), length)
            }
        };
        let incomplete = self.incomplete.warning(
            WarningCode::Incomplete,
            kind,
            "files are not stored as the task left them",
        );
        let left_out =
            self.left_out.warning(WarningCode::LeftOut, kind, "what has no content to be stored is left out");
        let text = "the middle of an output longer than the worker's output_limit is omitted";
        let omitted = self.omitted.warning(WarningCode::LeftOut, kind, text);
        let warnings = incomplete.into_iter().chain(left_out).chain(omitted).collect();
        Ok(Packed { content, length, warnings })
    }

    fn add_folder(&mut self, folder: &Path, name: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                self.incomplete.add(name, error);
                return Ok(());
            }
        };
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
        names.sort();
        names.iter().try_for_each(|entry| self.add(&folder.join(entry), &name.join(entry)))
    }

    /// Adds an entry. Unreadable entries and entries without content are noted; an error is one of the archive.
    fn add(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        self.wanted.check()?;
        let is_link = match fs::symlink_metadata(path) {
            Ok(found) => found.is_symlink(),
            Err(error) => {
                self.incomplete.add(name, error);
                return Ok(());
            }
        };
        match fs::metadata(path) {
            Ok(found) if found.is_file() => self.add_file(path, name),
            Ok(found) if found.is_dir() && is_link => self.add_link(path, name),
            Ok(found) if found.is_dir() => {
                let mut header = Header::new_gnu();
                header.set_metadata(&found);
                header.set_size(0);
                self.archive.append_data(&mut header, name, io::empty())?;
                self.add_folder(path, name)
            }
            Ok(_) => {
                self.left_out.add(name, "neither a file nor a folder");
                Ok(())
            }
            Err(error) if is_link && error.kind() == io::ErrorKind::NotFound => {
                self.left_out.add(name, "a link to nothing");
                Ok(())
            }
            Err(error) => {
                self.incomplete.add(name, error);
                Ok(())
            }
        }
    }

    fn add_file(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let opened = safe_open::open_linked(path).and_then(|file| {
            let file = file.ok_or(io::ErrorKind::NotFound)?;
            let found = file.metadata()?;
            Ok((file, found))
        });
        let (file, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.incomplete.add(name, error);
                return Ok(());
            }
        };
        let mut header = Header::new_gnu();
        header.set_metadata(&found);
        self.add_content(header, &file, found.len(), name)
    }

    fn add_content(
        &mut self,
        mut header: Header,
        file: &impl ReadAt,
        length: u64,
        name: &Path,
    ) -> io::Result<()> {
        header.set_size(length);
        let mut content = Exactly::new(file, 0..length, &self.wanted);
        self.archive.append_data(&mut header, name, &mut content)?;
        if let Some(trouble) = content.trouble() {
            self.incomplete.add(name, trouble);
        }
        Ok(())
    }

    /// Adds a link to a directory if its target is in the archive.
    fn add_link(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let target = self.root.as_deref().and_then(|root| within(root, path));
        let Some(target) = target else {
            self.left_out.add(name, "a link to a folder elsewhere");
            return Ok(());
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_mtime(0);
        header.set_size(0);
        self.archive.append_link(&mut header, name, target)
    }
}

/// The relative path from a link to its target directory, if that is within the tree.
fn within(root: &Path, link: &Path) -> Option<PathBuf> {
    let target = link.canonicalize().ok()?;
    let target = target.strip_prefix(root).ok()?;
    let start = link.parent()?.canonicalize().ok()?;
    let start = start.strip_prefix(root).ok()?;
    let common = start.components().zip(target.components()).take_while(|(one, other)| one == other).count();
    let up = start.components().skip(common).map(|_| Path::new(".."));
    let down = target.components().skip(common);
    let way: PathBuf = up.chain(down.map(|part| Path::new(part.as_os_str()))).collect();
    Some(if way.as_os_str().is_empty() { PathBuf::from(".") } else { way })
}

/// A file that is read at offsets of the reader's own, since it may be open elsewhere.
trait ReadAt {
    /// Reads at an offset. Returns 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

/// Reads exactly a range of a file that may change meanwhile: a longer file is cut, a shorter one is padded with
/// zeros.
struct Exactly<'a, F> {
    file: &'a F,
    place: u64,
    end: u64,
    wanted: &'a IsWanted,
    trouble: Option<String>,
}

impl<'a, F: ReadAt> Exactly<'a, F> {
    fn new(file: &'a F, range: Range<u64>, wanted: &'a IsWanted) -> Self {
        Self { file, place: range.start, end: range.end, wanted, trouble: None }
    }

    /// Describes how the file changed while it was read to its end, if it did.
    fn trouble(self) -> Option<String> {
        self.trouble.or_else(|| match self.file.read_at(&mut [0], self.end) {
            Ok(1..) if self.end == 0 => Some("its size is given as 0, and it has content".to_owned()),
            Ok(1..) => Some("it grew while it was packed; the end is missing".to_owned()),
            _ => None,
        })
    }
}

impl<F: ReadAt> Read for Exactly<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wanted.check()?;
        let left = usize::try_from(self.end - self.place).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let buffer = &mut buffer[..most];
        if most == 0 {
            return Ok(0);
        }
        let read = match self.trouble {
            Some(_) => 0,
            None => match self.file.read_at(buffer, self.place) {
                Ok(0) => {
                    self.trouble = Some("it shrank while it was packed; the rest is zeros".to_owned());
                    0
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    self.trouble = Some(format!("{error}; the rest is zeros"));
                    0
                }
            },
        };
        let length = if read > 0 {
            read
        } else {
            buffer.fill(0);
            most
        };
        self.place += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Seek as _, Write as _};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use flate2::read::GzDecoder;
    use nix::unistd::{Uid, geteuid, setfsuid};
    use tempfile::TempDir;

    use super::*;

    /// The mode of each entry, and its content or link target.
    pub(super) type Entries = BTreeMap<String, (u32, String)>;

    pub(super) fn unpacked(packed: &mut Packed) -> Entries {
        let content: Box<dyn Read + '_> = match &mut packed.content {
            Content::Memory(bytes) => Box::new(&bytes[..]),
            Content::File(file) => {
                file.rewind().unwrap();
                Box::new(file)
            }
        };
        let mut archive = tar::Archive::new(GzDecoder::new(content));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                content = format!("-> {}", target.display());
            }
            let name = entry.path().unwrap().display().to_string();
            found.insert(name, (entry.header().mode().unwrap() & 0o777, content));
        }
        found
    }

    fn tree() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        (folder, tree)
    }

    pub(super) fn on_disk(folder: &Path) -> Target<'_> {
        Target { in_memory: 0, folder }
    }

    fn packed(folder: &TempDir, tree: &Path) -> Packed {
        pack_tree(tree, ArtifactKind::Result, on_disk(folder.path()), Wanted::default().leak()).unwrap()
    }

    impl Wanted {
        /// A flag that always reports that the archive is wanted.
        pub(super) fn leak(self) -> IsWanted {
            let watch = self.watch();
            std::mem::forget(self);
            watch
        }
    }

    #[test]
    fn tree_keeps_modes_and_replaces_links_to_files() {
        let (folder, tree) = tree();
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::write(tree.join("deep/er/run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(tree.join("deep/er/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("deep/er/run.sh", tree.join("link")).unwrap();
        let long = "n".repeat(200);
        fs::write(tree.join(&long), "long name").unwrap();

        let mut packed = packed(&folder, &tree);
        let found = unpacked(&mut packed);
        assert_eq!(found["result/deep/er/run.sh"], (0o750, "#!/bin/sh\n".to_owned()));
        assert_eq!(found["result/link"].1, "#!/bin/sh\n");
        assert_eq!(found[&format!("result/{long}")].1, "long name");
        assert_eq!(packed.warnings, []);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the archive has no name");
    }

    #[test]
    fn links_to_folders_within_the_tree_are_kept() {
        let (folder, tree) = tree();
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir_all(tree.join("c")).unwrap();
        symlink(".", tree.join("circle")).unwrap();
        symlink(tree.join("c"), tree.join("a/b/absolute")).unwrap();
        symlink("/", tree.join("elsewhere")).unwrap();
        let mut packed = packed(&folder, &tree);
        let found = unpacked(&mut packed);
        assert_eq!(found["result/circle"].1, "-> .");
        assert_eq!(found["result/a/b/absolute"].1, "-> ../../c");
        assert!(!found.contains_key("result/elsewhere"));
        assert_eq!(packed.warnings.len(), 1);
        assert_eq!(packed.warnings[0].code, WarningCode::LeftOut);
        assert_eq!(packed.warnings[0].files, ["result/elsewhere (a link to a folder elsewhere)"]);
    }

    #[test]
    fn entries_without_content_are_named_and_the_rest_is_packed() {
        let (folder, tree) = tree();
        fs::write(tree.join("z"), "kept").unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        nix::unistd::mkfifo(&tree.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut packed = packed(&folder, &tree);
        assert_eq!(unpacked(&mut packed)["result/z"].1, "kept");
        assert_eq!(packed.warnings[0].files.len(), 2, "{:?}", packed.warnings);
        assert!(!packed.warnings[0].is_loss());
    }

    /// Root can read every file, so this thread changes its file system user.
    #[test]
    fn unreadable_file_is_named_and_the_others_are_packed() {
        let (folder, tree) = tree();
        for (name, mode) in [("a", 0o644), ("secret", 0o000), ("z", 0o644)] {
            fs::write(tree.join(name), name).unwrap();
            fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(tree.join("sealed")).unwrap();
        for (path, mode) in [(folder.path(), 0o777), (&tree, 0o755), (&tree.join("sealed"), 0o000)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut packed = std::thread::scope(|scope| {
            let packing = scope.spawn(|| {
                if geteuid().is_root() {
                    setfsuid(Uid::from_raw(65_534));
                }
                packed(&folder, &tree)
            });
            packing.join().unwrap()
        });
        let found = unpacked(&mut packed);
        assert_eq!((&*found["result/a"].1, &*found["result/z"].1), ("a", "z"));
        assert!(packed.warnings[0].is_loss(), "{:?}", packed.warnings);
        let denied = "(Permission denied (os error 13))";
        let names = ["sealed", "secret"].map(|name| format!("result/{name} {denied}"));
        assert_eq!(packed.warnings[0].files, names);
    }

    #[test]
    fn names_of_what_is_left_out_are_bounded() {
        let (folder, tree) = tree();
        for number in 0..MAX_WARNING_FILES + 5 {
            symlink("nowhere", tree.join(number.to_string())).unwrap();
        }
        let packed = packed(&folder, &tree);
        let warning = &packed.warnings[0];
        assert_eq!((warning.files.len(), warning.more_files), (MAX_WARNING_FILES, 5), "{warning:?}");
    }

    #[test]
    fn kernel_file_is_named_and_not_stored_as_empty() {
        let (folder, tree) = tree();
        symlink("/proc/self/status", tree.join("status")).unwrap();
        let mut packed = packed(&folder, &tree);
        assert_eq!(unpacked(&mut packed)["result/status"].1, "");
        assert!(packed.warnings[0].is_loss(), "{:?}", packed.warnings);
        assert!(packed.warnings[0].files[0].starts_with("result/status (its size"), "{:?}", packed.warnings);
    }

    #[test]
    fn unreadable_entries_are_named_and_the_rest_is_packed() {
        let (folder, tree) = tree();
        fs::write(tree.join("kept"), "kept").unwrap();
        let deep: PathBuf = std::iter::repeat_n("d".repeat(250), 9).collect();
        // Deeper than the longest path, which fails for root too.
        fs::create_dir_all(folder.path().join(&deep)).unwrap();
        fs::create_dir_all(tree.join(&deep)).unwrap();
        fs::rename(folder.path().join("d".repeat(250)), tree.join(&deep).join("e")).unwrap();
        for number in 0..MAX_WARNING_FILES + 3 {
            let file = tree.join(format!("secret{number:02}"));
            fs::write(&file, "x").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        }
        let mut packed = packed(&folder, &tree);
        assert_eq!(unpacked(&mut packed)["result/kept"].1, "kept");
        let warning = &packed.warnings[0];
        assert!(warning.is_loss());
        assert!(warning.files[0].starts_with("result/ddd"), "{}", warning.files[0]);
        if nix::unistd::geteuid().is_root() {
            return;
        }
        assert_eq!((warning.files.len(), warning.more_files), (MAX_WARNING_FILES, 4));
    }

    #[test]
    fn growing_and_shrinking_files_give_a_valid_archive() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let wanted = Wanted::default();
        let watch = wanted.watch();
        let read = |length| {
            let mut content = Exactly::new(&file, 0..length, &watch);
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            (bytes, content.trouble().unwrap_or_default())
        };
        assert_eq!(read(10), (b"0123456789".to_vec(), String::new()));
        let (bytes, trouble) = read(4);
        assert_eq!(bytes, b"0123");
        assert!(trouble.contains("grew"), "{trouble}");
        let (bytes, trouble) = read(12);
        assert_eq!(bytes, b"0123456789\0\0");
        assert!(trouble.contains("shrank"), "{trouble}");
    }

    #[test]
    fn packing_stops_when_the_archive_is_unwanted() {
        let (folder, tree) = tree();
        fs::write(tree.join("x"), "x").unwrap();
        let watch = Wanted::default().watch();
        assert!(pack_tree(&tree, ArtifactKind::Result, on_disk(folder.path()), watch).is_err());
    }
}
