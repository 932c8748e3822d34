//! Reads the two streams of a `std-log` archive (semantics §8).

use std::io::{self, Read, Write};

use flate2::read::GzDecoder;
use mitosis_log_archive::{Index, StoredPosition};

use crate::task_io::follow::Shown;

/// Where a reader continues who has the streams as the command wrote them up to these offsets: in standard output, and in
/// standard error.
pub(crate) fn positions(archive: &[u8], written: Shown) -> [StoredPosition; 2] {
    let at = |offset| StoredPosition { offset, omitted: None };
    match Index::from_end(archive, archive.len() as u64) {
        Some(index) => [index.stdout.position(written.stdout), index.stderr.position(written.stderr)],
        None => [at(written.stdout), at(written.stderr)],
    }
}

/// Copies each stream from an offset in the stored bytes to its end.
pub(crate) fn copy(
    archive: impl Read,
    from: Shown,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::new(archive)));
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("stdout.log") => copy_from(entry, from.stdout, stdout)?,
            Some("stderr.log") => copy_from(entry, from.stderr, stderr)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_from(mut stream: impl Read, offset: u64, to: &mut impl Write) -> io::Result<()> {
    io::copy(&mut stream.by_ref().take(offset), &mut io::sink())?;
    io::copy(&mut stream, to)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn streams_resume_at_their_offsets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("std-log.tar.gz");
        let mut archive =
            tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for (name, text) in [("std-log/stdout.log", "0123456789"), ("std-log/stderr.log", "abc")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o664);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();

        let (mut out, mut err) = (Vec::new(), Vec::new());
        let from = Shown { stdout: 4, stderr: 3 };
        copy(&File::open(&path).unwrap(), from, &mut out, &mut err).unwrap();
        assert_eq!((out.as_slice(), err.as_slice()), (b"456789".as_slice(), b"".as_slice()));
    }
}
