//! Decompresses a gzip file, or a part of one that begins at a restart point, from pieces.

use flate2::{Decompress, FlushDecompress, Status};

/// An archive that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidArchive;

impl std::fmt::Display for InvalidArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the archive is damaged, or no `.tar.gz` file")
    }
}

impl std::error::Error for InvalidArchive {}

const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

/// Reads compressed bytes piece by piece.
#[derive(Debug)]
pub(crate) struct Inflater {
    part: FilePart,
    inflate: Decompress,
}

/// What the next byte of the file belongs to.
#[derive(Debug)]
enum FilePart {
    Header(HeaderReader),
    Data,
    /// The checksum and the length after the data, of which this many bytes are left.
    Trailer(usize),
    /// Between two members, or at the end of the file.
    Between,
}

/// The size of the checksum and the length.
const TRAILER_BYTES: usize = 8;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// How many bytes of the input are used up.
    pub(crate) read: usize,
    /// How many bytes of the output are filled.
    pub(crate) written: usize,
}

impl Inflater {
    /// Starts at the start of a file.
    pub(crate) fn at_start() -> Self {
        Self::new(FilePart::Header(HeaderReader::default()))
    }

    /// Starts at a restart point.
    pub(crate) fn at_point() -> Self {
        Self::new(FilePart::Data)
    }

    fn new(part: FilePart) -> Self {
        Self { part, inflate: Decompress::new(false) }
    }

    /// Whether the file may end here.
    pub(crate) fn may_end(&self) -> bool {
        matches!(self.part, FilePart::Between)
    }

    /// Decompresses some of `input` into `output`.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Inflated, InvalidArchive> {
        let mut read = 0;
        while let Some(byte) = input.get(read) {
            self.part = match &mut self.part {
                FilePart::Header(header) => {
                    read += 1;
                    match header.accept(*byte)? {
                        true => FilePart::Data,
                        false => continue,
                    }
                }
                FilePart::Between => {
                    self.inflate.reset(false);
                    FilePart::Header(HeaderReader::default())
                }
                FilePart::Trailer(left) => {
                    read += 1;
                    *left -= 1;
                    match left {
                        0 => FilePart::Between,
                        _ => continue,
                    }
                }
                FilePart::Data => {
                    let inflated = self.inflate(&input[read..], output)?;
                    return Ok(Inflated { read: read + inflated.read, ..inflated });
                }
            };
        }
        Ok(Inflated { read, written: 0 })
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Inflated, InvalidArchive> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status =
            self.inflate.decompress(input, output, FlushDecompress::None).map_err(|_| InvalidArchive)?;
        let count = |total: u64, before: u64| usize::try_from(total - before).unwrap_or(usize::MAX);
        let inflated = Inflated {
            read: count(self.inflate.total_in(), read),
            written: count(self.inflate.total_out(), written),
        };
        if status == Status::StreamEnd {
            self.part = FilePart::Trailer(TRAILER_BYTES);
        } else if inflated == (Inflated { read: 0, written: 0 }) {
            return Err(InvalidArchive);
        }
        Ok(inflated)
    }
}

/// Skips the header of a gzip file (RFC 1952, section 2.3).
#[derive(Debug, Default)]
struct HeaderReader {
    part: Part,
    flags: u8,
    /// Bytes of this part so far.
    count: u16,
    extra_length: u16,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Fixed,
    ExtraLength,
    Extra,
    Name,
    Comment,
    HeaderCrc,
}

impl HeaderReader {
    /// Accepts the next byte; true if it was the last one of the header.
    fn accept(&mut self, byte: u8) -> Result<bool, InvalidArchive> {
        let at = self.count;
        self.count = self.count.saturating_add(1);
        let is_complete = match self.part {
            Part::Fixed => {
                match (at, byte) {
                    (0, 0x1f) | (1, 0x8b) | (2, 8) | (4.., _) => {}
                    (3, flags) => self.flags = flags,
                    _ => return Err(InvalidArchive),
                }
                at == 9
            }
            Part::ExtraLength => {
                self.extra_length |= u16::from(byte) << (8 * at);
                at == 1
            }
            Part::Extra => self.count == self.extra_length,
            Part::Name | Part::Comment => byte == 0,
            Part::HeaderCrc => at == 1,
        };
        Ok(is_complete && self.next_part())
    }

    /// Continues with the next part that the file has; true if there is none.
    fn next_part(&mut self) -> bool {
        self.count = 0;
        loop {
            let (part, flag) = match self.part {
                Part::Fixed => (Part::ExtraLength, FLAG_EXTRA),
                Part::ExtraLength if self.extra_length > 0 => (Part::Extra, FLAG_EXTRA),
                Part::ExtraLength | Part::Extra => (Part::Name, FLAG_NAME),
                Part::Name => (Part::Comment, FLAG_COMMENT),
                Part::Comment => (Part::HeaderCrc, FLAG_HEADER_CRC),
                Part::HeaderCrc => return true,
            };
            self.part = part;
            if self.flags & flag != 0 {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::*;

    #[test]
    fn header_with_every_field_is_skipped_byte_by_byte() {
        for extra in [&b""[..], b"abc"] {
            let builder = GzBuilder::new().filename("name").comment("comment").extra(extra).mtime(7);
            let mut writer = builder.write(Vec::new(), Compression::default());
            writer.write_all(b"hello").unwrap();
            let file = writer.finish().unwrap();
            let (mut inflater, mut plain) = (Inflater::at_start(), Vec::<u8>::new());
            for byte in &file {
                let mut output = [0; 16];
                let done = inflater.step(&[*byte], &mut output).unwrap();
                plain.extend(&output[..done.written]);
            }
            assert_eq!(plain, b"hello");
            assert!(inflater.may_end());
        }
    }

    #[test]
    fn other_file_is_refused() {
        assert_eq!(Inflater::at_start().step(b"PK\x03\x04", &mut [0; 16]), Err(InvalidArchive));
        assert_eq!(Inflater::at_point().step(&[0xff; 64], &mut [0; 16]), Err(InvalidArchive));
    }
}
