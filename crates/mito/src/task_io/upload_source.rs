//! Opens files for an upload, which needs the length in advance.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::Path;

use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// An open file and the number of bytes to send.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: File,
    pub(crate) length: u64,
}

impl Source {
    /// Opens a file. A pipe, or a file without a size, is copied to a temporary file first.
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || read(&path))
            .await
            .map_err(|error| Failure::new(Exit::Fault, error))?
    }
}

fn read(path: &Path) -> Result<Source, Failure> {
    let unreadable = |error| Failure::unreadable(path, error);
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let kind = found.file_type();
    if kind.is_dir() {
        return Err(Failure::new(Exit::Usage, format!("{} is a directory", path.display()))
            .with_hint("pack it into an archive first, for example with `tar -czf`"));
    }
    if !(kind.is_file() || kind.is_fifo()) {
        return Err(Failure::new(Exit::Usage, format!("{} is neither a file nor a pipe", path.display()))
            .with_hint("copy its content to a file first"));
    }
    // Kernel files have the size 0 even with content.
    let has_size = kind.is_file() && (found.len() > 0 || file.read_at(&mut [0], 0).map_err(unreadable)? == 0);
    match has_size {
        true => Ok(Source { file, length: found.len() }),
        false => copied(file).map_err(|error| Failure::io(format!("cannot copy {}", path.display()), error)),
    }
}

/// Copies the content to an unnamed file.
fn copied(mut from: File) -> io::Result<Source> {
    let mut file = tempfile::tempfile()?;
    let length = io::copy(&mut from.by_ref(), &mut file)?;
    file.rewind()?;
    Ok(Source { file, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pipes_and_kernel_files_are_read_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let writer = {
            let fifo = fifo.clone();
            std::thread::spawn(move || std::fs::write(fifo, "through a pipe").unwrap())
        };
        let mut source = Source::open(&fifo).await.unwrap();
        writer.join().unwrap();
        let mut text = String::new();
        source.file.read_to_string(&mut text).unwrap();
        assert_eq!((source.length, text.as_str()), (14, "through a pipe"));
        assert!(Source::open(Path::new("/proc/self/status")).await.unwrap().length > 0);
        std::fs::write(folder.path().join("empty"), "").unwrap();
        assert_eq!(Source::open(&folder.path().join("empty")).await.unwrap().length, 0);
        for (refused, exit) in [("/dev/null", Exit::Usage), ("/", Exit::Usage), ("/no/such", Exit::NotFound)]
        {
            assert_eq!(Source::open(Path::new(refused)).await.unwrap_err().exit(), exit, "{refused}");
        }
    }
}
