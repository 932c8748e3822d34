//! Opens files that a task left behind. They can be anything, including a FIFO without a writer, a device or a link.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Opens a regular file for reading; returns none if it doesn't exist. Never blocks, and follows no link in the
/// last part of the path.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    open_with(path, OFlag::O_NOFOLLOW)
}

/// Opens a regular file like [`open`], and follows links.
pub(super) fn open_linked(path: &Path) -> io::Result<Option<File>> {
    open_with(path, OFlag::empty())
}

fn open_with(path: &Path, flags: OFlag) -> io::Result<Option<File>> {
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match File::options().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            return Err(other("it is a symbolic link"));
        }
        file => file?,
    };
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(other("it is not a regular file")),
    }
}

fn other(what: &'static str) -> io::Error {
    io::Error::other(what)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        symlink(path("file"), path("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert!(open(&path("file")).unwrap().is_some());
        assert!(open(&path("missing")).unwrap().is_none());
        for name in ["folder", "fifo", "link", "socket"] {
            assert!(open(&path(name)).is_err(), "{name}");
        }
        assert!(open(Path::new("/dev/null")).is_err());
        assert!(open_linked(&path("link")).unwrap().is_some());
        assert!(open_linked(&path("fifo")).is_err());
    }
}
