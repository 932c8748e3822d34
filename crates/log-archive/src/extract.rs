//! Extracts a part of one stream from the bytes of an archive.

use std::ops::Range;

use mitosis_protocol::output::OutputStream;
use tar::Header;

use crate::index::{Index, TAR_BLOCK, range_in_archive};
use crate::inflate::{Inflater, InvalidArchive};

/// Most bytes that one step decompresses.
const STEP_BYTES: usize = 64 * 1024;
/// [`TAR_BLOCK`], as a size in memory.
const BLOCK: usize = 512;
const _: () = assert!(BLOCK as u64 == TAR_BLOCK);

/// Extracts a range of the stored bytes of a stream. The caller feeds it the bytes of the file.
#[derive(Debug)]
pub struct Extractor {
    inflater: Inflater,
    stream: OutputStream,
    /// The range in the stream.
    range: Range<u64>,
    place: Place,
    plain: Vec<u8>,
}

/// What the next uncompressed byte belongs to.
#[derive(Debug)]
enum Place {
    /// The header of an entry.
    Header { block: Box<[u8; BLOCK]>, filled: usize },
    /// The content of an entry, and what fills it up to a whole block.
    Content { is_wanted: bool, offset: u64, length: u64, padding: u64 },
    /// Nothing that is wanted.
    Done,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are used up.
    pub read: usize,
    /// Whether nothing more is wanted.
    pub is_done: bool,
}

impl Extractor {
    /// Extracts from a whole file, fed from its start.
    pub fn from_start(stream: OutputStream, range: Range<u64>) -> Self {
        Self::new(Inflater::at_start(), Place::header(), stream, range)
    }

    /// Extracts from a part of a file, and returns that part: from an offset to the other, or to the end. `None` if the
    /// index has no restart point.
    pub fn from_index(
        index: &Index,
        stream: OutputStream,
        range: Range<u64>,
    ) -> Option<(Self, u64, Option<u64>)> {
        let section = index.section(stream);
        let wanted = range_in_archive(section, range);
        let (start, skip) = index.point_before(wanted.start)?;
        let length = skip + (wanted.end - wanted.start);
        let place = Place::Content { is_wanted: true, offset: 0, length, padding: 0 };
        let extractor = Self::new(Inflater::at_point(), place, stream, skip..length);
        Some((extractor, start, index.point_after(wanted.end)))
    }

    fn new(inflater: Inflater, place: Place, stream: OutputStream, range: Range<u64>) -> Self {
        Self { inflater, stream, range, place, plain: vec![0; STEP_BYTES] }
    }

    /// Takes some of `input`, and appends what is wanted to `output`, at most 64 KiB. Call it again with the rest of
    /// the input until that is empty.
    pub fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Step, InvalidArchive> {
        if matches!(self.place, Place::Done) || self.is_past_the_range() {
            return Ok(Step { read: input.len(), is_done: true });
        }
        let mut plain = std::mem::take(&mut self.plain);
        let inflated = self.inflater.step(input, &mut plain);
        let used = inflated.and_then(|inflated| {
            self.take(plain.get(..inflated.written).unwrap_or_default(), output).map(|()| inflated)
        });
        self.plain = plain;
        let used = used?;
        let is_done = matches!(self.place, Place::Done) || self.is_past_the_range();
        Ok(Step { read: used.read, is_done })
    }

    /// Checks that nothing is missing, at the end of the file.
    pub fn finish(&self) -> Result<(), InvalidArchive> {
        let is_between_entries = matches!(self.place, Place::Header { filled: 0, .. });
        let is_complete = matches!(self.place, Place::Done) || self.is_past_the_range();
        match is_complete || is_between_entries && self.inflater.may_end() {
            true => Ok(()),
            false => Err(InvalidArchive),
        }
    }

    fn is_past_the_range(&self) -> bool {
        matches!(self.place, Place::Content { is_wanted: true, offset, length, .. } if offset >= self.range.end.min(length))
    }

    fn take(&mut self, mut plain: &[u8], output: &mut Vec<u8>) -> Result<(), InvalidArchive> {
        while !plain.is_empty() {
            match &mut self.place {
                Place::Header { block, filled } => {
                    let count = plain.len().min(BLOCK - *filled);
                    let (bytes, rest) = plain.split_at(count);
                    block[*filled..*filled + count].copy_from_slice(bytes);
                    *filled += count;
                    plain = rest;
                    if *filled == BLOCK {
                        self.place = place_after(block, self.stream)?;
                    }
                }
                Place::Content { is_wanted, offset, length, padding } => {
                    let left = *length - *offset;
                    let content = plain.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let (bytes, rest) = plain.split_at(content);
                    if *is_wanted {
                        output.extend_from_slice(part(bytes, *offset, &self.range));
                    }
                    *offset += content as u64;
                    let fill = rest.len().min(usize::try_from(*padding).unwrap_or(usize::MAX));
                    *padding -= fill as u64;
                    plain = &rest[fill..];
                    if *offset == *length && *padding == 0 {
                        self.place = match *is_wanted {
                            true => Place::Done,
                            false => Place::header(),
                        };
                    }
                }
                Place::Done => return Ok(()),
            }
        }
        Ok(())
    }
}

/// What follows the header of an entry.
fn place_after(block: &[u8; BLOCK], stream: OutputStream) -> Result<Place, InvalidArchive> {
    // Two blocks of zeros end an archive.
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Place::Done);
    }
    let header = Header::from_byte_slice(block);
    let length = header.entry_size().map_err(|_| InvalidArchive)?;
    let path = header.path_bytes();
    // Other entries, such as those with attributes of the next one, may have the same name.
    let is_wanted = header.entry_type().is_file()
        && path.rsplit(|byte| *byte == b'/').next() == Some(stream.file_name().as_bytes());
    let padding = length.checked_next_multiple_of(TAR_BLOCK).ok_or(InvalidArchive)? - length;
    Ok(match length {
        0 if is_wanted => Place::Done,
        0 => Place::header(),
        _ => Place::Content { is_wanted, offset: 0, length, padding },
    })
}

impl Place {
    fn header() -> Self {
        Self::Header { block: Box::new([0; BLOCK]), filled: 0 }
    }
}

/// The part of `bytes`, which begin at `offset`, within a range.
fn part<'a>(bytes: &'a [u8], offset: u64, range: &Range<u64>) -> &'a [u8] {
    let place = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (place(range.start), place(range.end));
    bytes.get(start..end.max(start)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gzip::GzipWriter;
    use crate::index::sections;

    const INTERVAL: u64 = 1000;

    /// An archive as workers write it.
    fn archive(stdout: &[u8], stderr: &[u8]) -> (Vec<u8>, Index) {
        let mut tar = tar::Builder::new(GzipWriter::new(Vec::new(), Some(INTERVAL)).unwrap());
        for (name, text) in [("std-log/stdout.log", stdout), ("std-log/stderr.log", stderr)] {
            let mut header = Header::new_gnu();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text).unwrap();
        }
        let writer = tar.into_inner().unwrap();
        let (out, err) = sections(stdout.len() as u64, stderr.len() as u64);
        let points = writer.points().to_vec();
        let index = Index { interval: INTERVAL, points, stdout: out, stderr: err, samples: Vec::new() };
        (writer.finish(Some(&index)).unwrap(), index)
    }

    fn feed(mut extractor: Extractor, file: &[u8], piece: usize) -> Result<Vec<u8>, InvalidArchive> {
        let mut output = Vec::new();
        for mut input in file.chunks(piece) {
            while !input.is_empty() {
                let step = extractor.step(input, &mut output)?;
                if step.is_done {
                    return Ok(output);
                }
                input = &input[step.read..];
            }
        }
        extractor.finish().map(|()| output)
    }

    fn lines(count: u32) -> Vec<u8> {
        (0..count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
    }

    #[test]
    fn stream_is_read_from_the_start_of_the_file() {
        let (file, _) = archive(&lines(5000), b"trouble");
        for piece in [1, 100, file.len()] {
            let all = |stream| feed(Extractor::from_start(stream, 0..u64::MAX), &file, piece).unwrap();
            assert!(all(OutputStream::Stdout) == lines(5000));
            assert_eq!(all(OutputStream::Stderr), b"trouble");
        }
        let part = feed(Extractor::from_start(OutputStream::Stdout, 4..9), &file, 50).unwrap();
        assert_eq!(part, &lines(10)[4..9]);
    }

    #[test]
    fn empty_streams_are_read() {
        let (file, _) = archive(b"", b"");
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            assert_eq!(feed(Extractor::from_start(stream, 0..10), &file, 7).unwrap(), b"");
        }
    }

    #[test]
    fn highly_compressed_stream_is_read_in_small_steps() {
        let (file, _) = archive(&vec![0; 1 << 22], b"");
        let mut extractor = Extractor::from_start(OutputStream::Stdout, 0..u64::MAX);
        let (mut input, mut total) = (&file[..], 0);
        loop {
            let mut output = Vec::new();
            let step = extractor.step(input, &mut output).unwrap();
            assert!(output.len() <= STEP_BYTES);
            total += output.len();
            input = &input[step.read..];
            if step.is_done {
                break;
            }
        }
        assert_eq!(total, 1 << 22);
    }

    #[test]
    fn every_truncated_archive_is_an_error() {
        let (file, index) = archive(&lines(300), b"trouble");
        let member = index.to_member().unwrap().len();
        for length in 0..file.len() - member - 20 {
            let read = feed(Extractor::from_start(OutputStream::Stderr, 0..u64::MAX), &file[..length], 100);
            assert!(read.is_err() || read.is_ok_and(|read| read == b"trouble"), "{length}");
        }
        let half = &file[..file.len() / 2];
        assert_eq!(
            feed(Extractor::from_start(OutputStream::Stdout, 0..u64::MAX), half, 100),
            Err(InvalidArchive)
        );
    }

    #[test]
    fn archive_of_several_members_with_attributes_is_read() {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in [("std-log/stdout.log", lines(900)), ("std-log/stderr.log", b"trouble".to_vec())]
        {
            let record = "29 mtime=1795987795.49516909\n".as_bytes();
            let mut header = Header::new_ustar();
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_size(record.len() as u64);
            tar.append_data(&mut header, name.replace("std-log/", "std-log/PaxHeaders/"), record).unwrap();
            let mut header = Header::new_ustar();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, &text[..]).unwrap();
        }
        let plain = tar.into_inner().unwrap();
        let mut file = Vec::new();
        for part in plain.chunks(700) {
            let mut writer = GzipWriter::new(Vec::new(), None).unwrap();
            std::io::Write::write_all(&mut writer, part).unwrap();
            file.extend(writer.finish(None).unwrap());
        }
        for piece in [1, 333, file.len()] {
            let all = |stream| feed(Extractor::from_start(stream, 0..u64::MAX), &file, piece).unwrap();
            assert!(all(OutputStream::Stdout) == lines(900));
            assert_eq!(all(OutputStream::Stderr), b"trouble");
        }
    }

    #[test]
    fn damaged_archive_is_an_error() {
        let (mut file, _) = archive(&lines(500), b"");
        file[3] = 0;
        file[200..260].fill(0xff);
        assert_eq!(feed(Extractor::from_start(OutputStream::Stderr, 0..9), &file, 999), Err(InvalidArchive));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_range_is_read_through_the_index(
            (out, err, piece) in (0_u32..3000, 0_u32..900, 1_usize..3000),
            (start, length) in (0_u64..12_000, 0_u64..5000),
        ) {
            let (stdout, stderr) = (lines(out), lines(err));
            let (file, index) = archive(&stdout, &stderr);
            let read = Index::from_end(&file, file.len() as u64);
            prop_assert_eq!(read.as_ref(), Some(&index));
            for (stream, text) in [(OutputStream::Stdout, &stdout), (OutputStream::Stderr, &stderr)] {
                let (extractor, from, to) = Extractor::from_index(&index, stream, start..start + length).unwrap();
                let to = to.map_or(file.len(), |to| usize::try_from(to).unwrap());
                let read = feed(extractor, &file[usize::try_from(from).unwrap()..to], piece).unwrap();
                let place = |at: u64| usize::try_from(at).unwrap().min(text.len());
                prop_assert_eq!(&read[..], &text[place(start)..place(start + length)]);
            }
        }
    }
}
