//! Writes a gzip file with restart points.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::index::Index;

/// Header of a gzip member without name and time.
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Size of the buffer for compressed bytes.
const BUFFER_BYTES: usize = 32 * 1024;

/// Compresses what is written to it. At each restart point the compressor forgets what came before, so that
/// decompression can start there.
#[derive(Debug)]
pub struct GzipWriter<W: Write> {
    target: W,
    deflate: Compress,
    crc: Crc,
    buffer: Vec<u8>,
    /// The distance of two restart points in uncompressed bytes.
    interval: Option<u64>,
    /// The offset in the file of each restart point; the first is the start of the compressed data.
    points: Vec<u64>,
    /// Uncompressed bytes until the next restart point.
    until_point: u64,
    /// Bytes written to the target.
    written: u64,
}

impl<W: Write> GzipWriter<W> {
    /// Writes to `target`, with a restart point after every `interval` uncompressed bytes, if it is given.
    pub fn new(mut target: W, interval: Option<u64>) -> io::Result<Self> {
        target.write_all(&HEADER)?;
        let written = HEADER.len() as u64;
        Ok(Self {
            target,
            deflate: Compress::new(Compression::default(), false),
            crc: Crc::new(),
            buffer: vec![0; BUFFER_BYTES],
            interval,
            points: vec![written],
            until_point: interval.unwrap_or(u64::MAX),
            written,
        })
    }

    /// The restart points so far.
    pub fn points(&self) -> &[u64] {
        &self.points
    }

    /// Completes the file, with an index if there is one. Returns the target.
    pub fn finish(mut self, index: Option<&Index>) -> io::Result<W> {
        self.deflate(&[], FlushCompress::Finish)?;
        self.target.write_all(&self.crc.sum().to_le_bytes())?;
        self.target.write_all(&self.crc.amount().to_le_bytes())?;
        if let Some(member) = index.and_then(Index::to_member) {
            self.target.write_all(&member)?;
        }
        Ok(self.target)
    }

    fn deflate(&mut self, mut input: &[u8], flush: FlushCompress) -> io::Result<()> {
        loop {
            let (read_before, written_before) = (self.deflate.total_in(), self.deflate.total_out());
            let status = self.deflate.compress(input, &mut self.buffer, flush).map_err(io::Error::other)?;
            let read = usize::try_from(self.deflate.total_in() - read_before).unwrap_or(usize::MAX);
            let produced = self.deflate.total_out() - written_before;
            let bytes = usize::try_from(produced).unwrap_or(usize::MAX);
            self.target.write_all(&self.buffer[..bytes])?;
            self.written += produced;
            input = &input[read..];
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => input.is_empty() && bytes < self.buffer.len(),
            };
            if is_done {
                return Ok(());
            }
        }
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(self.until_point).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = &bytes[..most];
        self.crc.update(bytes);
        self.deflate(bytes, FlushCompress::None)?;
        if let Some(interval) = self.interval {
            self.until_point -= most as u64;
            if self.until_point == 0 {
                self.deflate(&[], FlushCompress::Full)?;
                self.points.push(self.written);
                self.until_point = interval;
            }
        }
        Ok(most)
    }

    /// Does nothing: the file is complete after [`Self::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{GzDecoder, MultiGzDecoder};
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    fn content() -> Vec<u8> {
        (0..20_000_u32).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
    }

    #[test]
    fn other_tools_read_the_file() {
        for interval in [None, Some(1), Some(777), Some(1 << 20)] {
            let content =
                &content()[..if interval == Some(1) { 500 } else { usize::MAX }.min(content().len())];
            let mut writer = GzipWriter::new(Vec::new(), interval).unwrap();
            writer.write_all(content).unwrap();
            let file = writer.finish(None).unwrap();
            let (mut single, mut multi) = (Vec::new(), Vec::new());
            GzDecoder::new(&file[..]).read_to_end(&mut single).unwrap();
            MultiGzDecoder::new(&file[..]).read_to_end(&mut multi).unwrap();
            assert!(single == content && multi == content, "{interval:?}");
        }
    }

    #[test]
    fn decompression_starts_at_every_restart_point() {
        const INTERVAL: u64 = 10_000;
        let content = content();
        let mut writer = GzipWriter::new(Vec::new(), Some(INTERVAL)).unwrap();
        writer.write_all(&content).unwrap();
        let points = writer.points().to_vec();
        assert_eq!(points.len(), 1 + content.len() / 10_000);
        let file = writer.finish(None).unwrap();
        for (number, point) in points.iter().enumerate() {
            let mut plain = Vec::with_capacity(content.len() + 1);
            let from = usize::try_from(*point).unwrap();
            Decompress::new(false)
                .decompress_vec(&file[from..], &mut plain, FlushDecompress::Finish)
                .unwrap();
            assert!(plain == content[number * 10_000..], "{number}");
        }
    }
}
