//! Packs the output streams of a command.

use std::io::{self, Read as _};
use std::path::Path;

use mitosis_log_archive::{Index, Omission, Section, omission_mark};
use mitosis_protocol::ArtifactKind;
use mitosis_protocol::output::OutputStream;
use tar::{EntryType, Header};

use super::{Exactly, IsWanted, Packed, Packer, ReadAt, Target};
use crate::run::output_files::{Omitted, OutputFile, OutputFiles};

/// Packs the two output streams.
pub(in crate::run) fn pack_streams(
    output: &OutputFiles,
    target: Target<'_>,
    wanted: IsWanted,
) -> io::Result<Packed> {
    let (stdout, stderr) = (StoredStream::of(&output.stdout)?, StoredStream::of(&output.stderr)?);
    let interval = mitosis_log_archive::interval_for(stdout.stored_length() + stderr.stored_length());
    let mut packer = Packer::new(target, None, interval, wanted)?;
    packer.add_stream(&stdout, OutputStream::Stdout)?;
    packer.add_stream(&stderr, OutputStream::Stderr)?;
    let (out, err) = mitosis_log_archive::sections(stdout.stored_length(), stderr.stored_length());
    packer.finish(ArtifactKind::StdLog, |points| {
        let index = Index {
            interval: interval.unwrap_or_default(),
            points: points.to_vec(),
            stdout: Section { omission: stdout.omission(), ..out },
            stderr: Section { omission: stderr.omission(), ..err },
            samples: output.samples(),
        };
        let is_needed = interval.is_some()
            || !index.samples.is_empty()
            || index.stdout.omission.is_some()
            || index.stderr.omission.is_some();
        is_needed.then_some(index)
    })
}

/// A stream, and what is stored of it.
struct StoredStream<'a> {
    file: &'a OutputFile,
    length: u64,
    omitted: Option<Omitted>,
    /// The line that is stored in place of what is omitted.
    mark: String,
}

impl<'a> StoredStream<'a> {
    fn of(file: &'a OutputFile) -> io::Result<Self> {
        let length = file.length()?;
        let omitted = file.omitted(length);
        let mark = omitted.map(|Omitted { start, end }| omission_mark(end - start)).unwrap_or_default();
        Ok(Self { file, length, omitted, mark })
    }

    fn stored_length(&self) -> u64 {
        let omitted = self.omitted.map_or(0, |Omitted { start, end }| end - start);
        self.length - omitted + self.mark.len() as u64
    }

    fn omission(&self) -> Option<Omission> {
        let mark = self.mark.len() as u64;
        self.omitted.map(|Omitted { start, end }| Omission { start, length: end - start, mark })
    }
}

impl Packer {
    fn add_stream(&mut self, stream: &StoredStream<'_>, name: OutputStream) -> io::Result<()> {
        let name = Path::new(ArtifactKind::StdLog.as_str()).join(name.file_name());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o664);
        header.set_mtime(0);
        match stream.omitted {
            Some(omitted) => self.add_without(header, stream, omitted, &name),
            None => self.add_content(header, stream.file, stream.length, &name),
        }
    }

    /// Adds a stream without a part of it, which a line replaces.
    fn add_without(
        &mut self,
        mut header: Header,
        stream: &StoredStream<'_>,
        Omitted { start, end }: Omitted,
        name: &Path,
    ) -> io::Result<()> {
        header.set_size(stream.stored_length());
        let mut beginning = Exactly::new(stream.file, 0..start, &self.wanted);
        let mut rest = Exactly::new(stream.file, end..stream.length, &self.wanted);
        let content = (&mut beginning).chain(stream.mark.as_bytes()).chain(&mut rest);
        self.archive.append_data(&mut header, name, content)?;
        self.omitted.add(name, format_args!("{} bytes", end - start));
        // The file is longer than its beginning, which is not a change.
        if let Some(trouble) = beginning.trouble.or_else(|| rest.trouble()) {
            self.incomplete.add(name, trouble);
        }
        Ok(())
    }
}

impl ReadAt for OutputFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Self::read_at(self, buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::run::archive::Wanted;
    use crate::run::archive::tests::{on_disk, unpacked};

    #[test]
    fn empty_streams_are_packed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        out.write_all(b"hello").unwrap();
        let output = OutputFiles::new(out, err);
        let mut packed = pack_streams(&output, on_disk(folder.path()), Wanted::default().leak()).unwrap();
        let found = unpacked(&mut packed);
        assert_eq!(found.len(), 2);
        assert_eq!(found["std-log/stdout.log"], (0o664, "hello".to_owned()));
        assert_eq!(found["std-log/stderr.log"], (0o664, String::new()));
    }
}
