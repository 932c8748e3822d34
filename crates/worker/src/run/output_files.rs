//! The files that a command writes its output to.
//!
//! They stay open, because the command can replace them by others. Of a stream that grows beyond the limit, the
//! beginning and the end are kept: the part between them is removed from the file while the command runs, so the disk
//! space is bounded, and offsets stay what they are.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_log_archive::{Sample, offset_since};
use mitosis_protocol::Timestamp;
use mitosis_protocol::output::{LogPosition, MAX_CHUNK_BYTES, OutputStream};
use nix::fcntl::{FallocateFlags, fallocate};

/// Output up to this size is packed on the thread that ran the command. Packing takes a few milliseconds.
const SHORT_OUTPUT: u64 = 256 * 1024;
/// The unit in which file systems remove parts of files.
const BLOCK: u64 = 4096;
/// The size of a read when lines are counted.
const READ_BYTES: usize = 64 * 1024;
/// The largest number of samples in memory.
const MAX_SAMPLES: usize = 4096;

/// The output files of a command.
#[derive(Debug)]
pub(crate) struct OutputFiles {
    pub(super) stdout: OutputFile,
    pub(super) stderr: OutputFile,
    samples: Mutex<Samples>,
}

/// The file of one stream.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: File,
    /// How many bytes are kept.
    limit: u64,
    /// Where the part ends that was removed from the file; 0 if none was. It starts after the bytes that are kept
    /// of the beginning.
    removed_until: AtomicU64,
}

/// A part of a stream that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Omitted {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The bytes of a stream from an offset on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The offset of the first byte. It is larger than requested if the bytes before are not kept.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// How long the streams were at some times.
#[derive(Debug)]
struct Samples {
    taken: Vec<Sample>,
    /// One in this many changes is recorded.
    every: u32,
    since_last: u32,
}

impl OutputFiles {
    pub(crate) fn new(stdout: File, stderr: File) -> Self {
        let file = |file| OutputFile { file, limit: u64::MAX, removed_until: AtomicU64::new(0) };
        let samples = Mutex::new(Samples { taken: Vec::new(), every: 1, since_last: 0 });
        Self { stdout: file(stdout), stderr: file(stderr), samples }
    }

    /// Limits how many bytes of each stream are kept.
    pub(super) fn with_limit(mut self, limit: u64) -> Self {
        (self.stdout.limit, self.stderr.limit) = (limit, limit);
        self
    }

    /// Appends bytes to a stream.
    pub(super) fn write(&self, stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
        let mut file = match stream {
            OutputStream::Stdout => &self.stdout.file,
            OutputStream::Stderr => &self.stderr.file,
        };
        file.write_all(bytes)
    }

    /// Whether both streams together are short.
    pub(super) fn is_short(&self) -> bool {
        let length = |file: &OutputFile| file.length().unwrap_or(u64::MAX);
        length(&self.stdout).saturating_add(length(&self.stderr)) <= SHORT_OUTPUT
    }

    /// How many bytes both streams have.
    pub(super) fn length(&self) -> u64 {
        [&self.stdout, &self.stderr].iter().map(|file| file.length().unwrap_or_default()).sum()
    }

    /// Whether a stream is longer than the limit.
    pub(super) fn exceeds_limit(&self) -> bool {
        [&self.stdout, &self.stderr].iter().any(|file| file.length().is_ok_and(|length| length > file.limit))
    }

    /// Removes from the files what is not kept.
    pub(super) fn remove_omitted(&self) -> io::Result<()> {
        self.stdout.remove_omitted()?;
        self.stderr.remove_omitted()
    }

    /// Records how long the streams are, if they grew.
    pub(super) fn sample(&self, at: Timestamp) {
        let (Ok(stdout), Ok(stderr)) = (self.stdout.length(), self.stderr.length()) else { return };
        self.samples_mut().record(Sample { at, stdout, stderr });
    }

    /// How long the streams were at some times, the oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples_mut().taken.clone()
    }

    /// Finds a position in a stream.
    pub(super) fn locate(&self, stream: OutputStream, position: LogPosition) -> io::Result<u64> {
        let file = match stream {
            OutputStream::Stdout => &self.stdout,
            OutputStream::Stderr => &self.stderr,
        };
        match position {
            LogPosition::Tail { lines } => file.tail(lines),
            LogPosition::Since { at } => {
                Ok(offset_since(&self.samples_mut().taken, stream, at).unwrap_or_default())
            }
        }
    }

    fn samples_mut(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Samples {
    fn record(&mut self, sample: Sample) {
        let is_same = |last: &Sample| (last.stdout, last.stderr) == (sample.stdout, sample.stderr);
        if self.taken.last().map_or((sample.stdout, sample.stderr) == (0, 0), is_same) {
            return;
        }
        self.since_last += 1;
        if self.since_last < self.every {
            return;
        }
        self.since_last = 0;
        self.taken.push(sample);
        if self.taken.len() >= MAX_SAMPLES {
            let mut number = 0;
            self.taken.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            self.every *= 2;
        }
    }
}

impl OutputFile {
    /// How many bytes the command has written.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// A handle for the command to write to.
    pub(super) fn stdio(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// Appends a line.
    pub(super) fn append(&self, line: &str) -> io::Result<()> {
        writeln!(&self.file, "{line}")
    }

    /// The part of a stream with this length that is not kept.
    pub(super) fn omitted(&self, length: u64) -> Option<Omitted> {
        let start = self.start_of_omitted();
        let end = length.saturating_sub(self.limit - start).max(self.removed_until.load(Ordering::Acquire));
        (length > self.limit).then_some(Omitted { start, end: end.min(length) })
    }

    /// Half of the limit is for the beginning.
    fn start_of_omitted(&self) -> u64 {
        self.limit / 2 / BLOCK * BLOCK
    }

    fn remove_omitted(&self) -> io::Result<()> {
        let Some(Omitted { start, end }) = self.omitted(self.length()?) else { return Ok(()) };
        let (from, end) = (start.max(self.removed_until.load(Ordering::Acquire)), end / BLOCK * BLOCK);
        if from >= end {
            return Ok(());
        }
        // A reader checks this after it has read, so that it never returns a removed part as zeros.
        self.removed_until.store(end, Ordering::Release);
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let offset = |at: u64| i64::try_from(at).map_err(io::Error::other);
        Ok(fallocate(&self.file, flags, offset(from)?, offset(end - from)?)?)
    }

    /// Reads at an offset, because the command shares the position of the file. At the end of what can be read, it
    /// returns 0.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// Reads a chunk from an offset on.
    pub(super) fn part(&self, offset: u64) -> io::Result<Part> {
        loop {
            let offset = self.skip_removed(offset);
            let left = usize::try_from(self.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; left.min(MAX_CHUNK_BYTES)];
            let filled = self.fill(&mut bytes, offset)?;
            bytes.truncate(filled);
            if let Some(end) = self.removed_after(offset) {
                bytes.truncate(usize::try_from(end - offset).unwrap_or(usize::MAX));
            }
            if self.skip_removed(offset) == offset {
                return Ok(Part { offset, bytes });
            }
        }
    }

    /// The first offset from `offset` on that was not removed.
    fn skip_removed(&self, offset: u64) -> u64 {
        let removed = self.start_of_omitted()..self.removed_until.load(Ordering::Acquire);
        if removed.contains(&offset) { removed.end } else { offset }
    }

    /// Where the removed part starts, if it is after `offset`.
    fn removed_after(&self, offset: u64) -> Option<u64> {
        let start = self.start_of_omitted();
        (offset < start && self.removed_until.load(Ordering::Acquire) > start).then_some(start)
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The offset of the last lines. A line that is not complete counts. Lines before an omitted part are not searched.
    fn tail(&self, lines: u64) -> io::Result<u64> {
        let length = self.length()?;
        if lines == 0 {
            return Ok(length);
        }
        let first = self.omitted(length).map_or(0, |omitted| omitted.end);
        let mut buffer = vec![0; READ_BYTES];
        let (mut end, mut left) = (length, lines);
        while end > first {
            let start = end.saturating_sub(READ_BYTES as u64).max(first);
            let count = usize::try_from(end - start).unwrap_or(READ_BYTES);
            let read = self.fill(&mut buffer[..count], start)?;
            for (place, _) in buffer[..read].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                let after = start + place as u64 + 1;
                // The end of the last line does not start another one.
                if after == length {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return Ok(after);
                }
            }
            end = start;
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(stdout: &[u8]) -> OutputFiles {
        let files = OutputFiles::new(tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        (&files.stdout.file).write_all(stdout).unwrap();
        files
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn numbers() -> Vec<u8> {
        (0..30_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect()
    }

    #[test]
    fn last_lines_are_found_from_the_end() {
        let text = numbers();
        let files = files(&text);
        let tail = |lines| {
            let start = files.locate(OutputStream::Stdout, LogPosition::Tail { lines }).unwrap();
            String::from_utf8(text[usize::try_from(start).unwrap()..].to_vec()).unwrap()
        };
        assert_eq!(tail(0), "");
        assert_eq!(tail(1), "29999\n");
        assert_eq!(tail(3), "29997\n29998\n29999\n");
        assert_eq!(tail(20_000).lines().count(), 20_000);
        assert_eq!(tail(30_001).lines().count(), 30_000);
        files.stdout.append("no end").unwrap();
        (&files.stdout.file).write_all(b"unfinished").unwrap();
        let start = files.locate(OutputStream::Stdout, LogPosition::Tail { lines: 2 }).unwrap();
        assert_eq!(files.stdout.part(start).unwrap().bytes, b"no end\nunfinished");
    }

    #[test]
    fn long_stream_keeps_its_beginning_and_its_end() {
        let text = numbers();
        let length = text.len() as u64;
        let files = files(&text).with_limit(10 * BLOCK);
        assert!(files.exceeds_limit());
        let omitted = Omitted { start: 5 * BLOCK, end: length - 5 * BLOCK };
        assert_eq!(files.stdout.omitted(length), Some(omitted));
        assert_eq!(files.stderr.omitted(10 * BLOCK), None);
        files.remove_omitted().unwrap();

        let part = files.stdout.part(5 * BLOCK - 3).unwrap();
        assert_eq!(part.bytes, &text[5 * 4096 - 3..5 * 4096], "the bytes before what was removed");
        let end = omitted.end / BLOCK * BLOCK;
        for offset in [5 * BLOCK, end - 1, end] {
            let part = files.stdout.part(offset).unwrap();
            assert_eq!(part.offset, end);
            assert_eq!(part.bytes, &text[usize::try_from(end).unwrap()..]);
        }
        let blocks = std::os::unix::fs::MetadataExt::blocks(&files.stdout.file.metadata().unwrap()) * 512;
        assert!(blocks < 20 * BLOCK, "{blocks} bytes are on disk");
        let last = files.locate(OutputStream::Stdout, LogPosition::Tail { lines: 1_000_000 }).unwrap();
        assert_eq!(last, omitted.end);
    }

    #[test]
    fn samples_are_bounded_and_find_a_time() {
        let files = files(b"");
        files.sample(at(1));
        assert_eq!(files.samples(), []);
        for second in 0..20_000 {
            files.stdout.append("x").unwrap();
            files.sample(at(second));
        }
        let samples = files.samples();
        assert!((MAX_SAMPLES / 2..MAX_SAMPLES).contains(&samples.len()));
        let since = LogPosition::Since { at: at(15_000) };
        let offset = files.locate(OutputStream::Stdout, since).unwrap();
        assert!((29_950..=30_000).contains(&offset), "{offset}");
        assert_eq!(files.locate(OutputStream::Stderr, since).unwrap(), 0);
    }
}
