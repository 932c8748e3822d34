//! The index of an archive, and its place at the end of the file.

use std::ops::Range;

use mitosis_protocol::Timestamp;
use mitosis_protocol::output::OutputStream;

use crate::gzip;
use crate::varint::{push, take};

/// The index of a file is within this many bytes at its end.
pub const MAX_INDEX_BYTES: u64 = (gzip::HEADER.len() + 2 + MAX_EXTRA + EMPTY_DATA.len()) as u64;

/// The largest extra field of a gzip member.
const MAX_EXTRA: usize = u16::MAX as usize;
/// The identifier of the extra field.
const SUBFIELD: [u8; 2] = *b"Ml";
/// What follows the extra field: compressed data without content, its checksum and its length.
const EMPTY_DATA: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// What precedes [`EMPTY_DATA`], after the length of the member in four bytes.
const FOOTER: [u8; 4] = *b"mLix";
/// The version of this format.
const VERSION: u64 = 1;

/// The shortest distance of two restart points in uncompressed bytes.
const MIN_INTERVAL: u64 = 1 << 20;
/// The largest number of restart points.
const MAX_POINTS: u64 = 4096;
/// The largest number of samples that are written.
const MAX_SAMPLES: usize = 2048;

/// More bytes than a stream has.
const MAX_STREAM_BYTES: u64 = 1 << 60;
/// More than any compressed byte can expand to.
const MAX_RATIO: u64 = 1100;

/// The size of a tar header, and what the length of an entry is rounded up to.
pub(crate) const TAR_BLOCK: u64 = 512;

/// What a reader has to know to start in the middle of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The distance of two restart points in uncompressed bytes.
    pub interval: u64,
    /// The offset of each restart point in the file.
    pub points: Vec<u64>,
    /// Where standard output is.
    pub stdout: Section,
    /// Where standard error is.
    pub stderr: Section,
    /// How long the streams were at some times, the oldest first.
    pub samples: Vec<Sample>,
}

/// Where a stream is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Section {
    /// The offset of its first byte in the uncompressed archive.
    pub start: u64,
    /// How many bytes of it are stored.
    pub length: u64,
    /// The part that was written and is not stored.
    pub omission: Option<Omission>,
}

/// A part of a stream that is not stored, between its beginning and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Omission {
    /// The offset of its first byte in the stream.
    pub start: u64,
    /// How many bytes were written there.
    pub length: u64,
    /// The length of the line that is stored instead.
    pub mark: u64,
}

/// How many bytes a command had written at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The time.
    pub at: Timestamp,
    /// The length of standard output.
    pub stdout: u64,
    /// The length of standard error.
    pub stderr: u64,
}

/// The line that is stored in place of bytes that are not.
pub fn omission_mark(bytes: u64) -> String {
    format!("\n[mito: {bytes} bytes of output are omitted here]\n")
}

/// The distance of restart points for an archive with this many bytes of output; `None` if it needs none.
pub fn interval_for(bytes: u64) -> Option<u64> {
    (bytes > MIN_INTERVAL).then(|| (bytes / MAX_POINTS).next_power_of_two().max(MIN_INTERVAL))
}

/// Where the streams of an archive are, given their stored lengths.
pub fn sections(stdout: u64, stderr: u64) -> (Section, Section) {
    let out = Section { start: TAR_BLOCK, length: stdout, omission: None };
    let start = out.start + stdout.next_multiple_of(TAR_BLOCK) + TAR_BLOCK;
    (out, Section { start, length: stderr, omission: None })
}

/// Where a reader continues in the stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPosition {
    /// The offset of the next byte.
    pub offset: u64,
    /// How many bytes before it are omitted, if the reader has passed the start of the omission. The stored line
    /// has the number of all.
    pub omitted: Option<u64>,
}

impl Section {
    /// Where a reader continues who has the stream as it was written up to an offset.
    pub fn position(&self, written: u64) -> StoredPosition {
        let (offset, omitted) = match self.omission {
            Some(Omission { start, length, mark }) if written > start => {
                let end = start.saturating_add(length);
                let offset = (written.max(end) - length).saturating_add(mark);
                (offset, end.checked_sub(written).filter(|left| *left > 0))
            }
            _ => (written, None),
        };
        StoredPosition { offset: offset.min(self.length), omitted }
    }
}

impl Index {
    /// Where a stream is.
    pub fn section(&self, stream: OutputStream) -> &Section {
        match stream {
            OutputStream::Stdout => &self.stdout,
            OutputStream::Stderr => &self.stderr,
        }
    }

    /// The last restart point at or before an offset in the uncompressed archive: its offset in the file, and how many
    /// uncompressed bytes to skip from there.
    pub fn point_before(&self, offset: u64) -> Option<(u64, u64)> {
        let number =
            offset.checked_div(self.interval).unwrap_or(0).min(self.points.len().checked_sub(1)? as u64);
        let point = self.points.get(usize::try_from(number).ok()?)?;
        Some((*point, offset - number * self.interval))
    }

    /// The offset in the file by which a range of the uncompressed archive is certainly complete; `None` for the end.
    pub fn point_after(&self, offset: u64) -> Option<u64> {
        let number = offset.checked_div(self.interval)?.checked_add(1)?;
        self.points.get(usize::try_from(number).ok()?).copied()
    }

    /// From where on a stream was written at or after `since`, as an offset in the stream as it was written. `None` if
    /// the index has no times.
    pub fn offset_since(&self, stream: OutputStream, since: Timestamp) -> Option<u64> {
        offset_since(&self.samples, stream, since)
    }

    /// The gzip member with this index; `None` if it would be too large.
    pub(crate) fn to_member(&self) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        push(&mut data, VERSION);
        push(&mut data, self.interval);
        push(&mut data, self.points.len() as u64);
        push_increasing(&mut data, self.points.iter().copied());
        for section in [&self.stdout, &self.stderr] {
            let omission = section.omission.unwrap_or(Omission { start: 0, length: 0, mark: 0 });
            let Omission { start, length, mark } = omission;
            for number in [section.start, section.length, start, length, mark] {
                push(&mut data, number);
            }
        }
        let samples = thinned(&self.samples);
        push(&mut data, samples.len() as u64);
        push_increasing(&mut data, samples.iter().map(|sample| millis(sample.at)));
        push_increasing(&mut data, samples.iter().map(|sample| sample.stdout));
        push_increasing(&mut data, samples.iter().map(|sample| sample.stderr));
        member(data)
    }

    /// Reads the index at the end of a file of `file_length` bytes from its last bytes, at most [`MAX_INDEX_BYTES`] of
    /// them. `None` if there is no index, or if it can't be that of the file: a user may have written it.
    pub fn from_end(bytes: &[u8], file_length: u64) -> Option<Self> {
        let extra_end = bytes.strip_suffix(&EMPTY_DATA)?;
        let (before, length) = extra_end.strip_suffix(&FOOTER)?.split_last_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let member = bytes.get(bytes.len().checked_sub(length)?..before.len())?;
        // The header, the length of the extra field, the identifier of the subfield and its length.
        let data = member.get(gzip::HEADER.len() + 2..)?.strip_prefix(&SUBFIELD)?.get(2..)?;
        Self::from_data(data).filter(|index| index.fits(file_length))
    }

    /// Whether a file of this length can have this index.
    fn fits(&self, file_length: u64) -> bool {
        let Self { interval, points, stdout, stderr, .. } = self;
        let most = file_length.saturating_mul(MAX_RATIO).min(MAX_STREAM_BYTES);
        if stdout.length > most || stderr.length > most {
            return false;
        }
        let (out, err) = sections(stdout.length, stderr.length);
        let end = err.start + err.length.next_multiple_of(TAR_BLOCK) + 2 * TAR_BLOCK;
        let count = 1 + end.checked_div(*interval).unwrap_or_default();
        let omits_a_part = |section: &Section| {
            section.omission.is_none_or(|Omission { start, mark, .. }| {
                start.checked_add(mark).is_some_and(|end| end <= section.length)
            })
        };
        points.len() as u64 == count
            && points.last().is_some_and(|last| *last < file_length)
            && (out.start, err.start) == (stdout.start, stderr.start)
            && omits_a_part(stdout)
            && omits_a_part(stderr)
    }

    fn from_data(mut data: &[u8]) -> Option<Self> {
        let data = &mut data;
        if take(data)? != VERSION {
            return None;
        }
        let interval = take(data)?;
        let count = take(data)?;
        let points = take_increasing(data, count)?;
        let stdout = take_section(data)?;
        let stderr = take_section(data)?;
        let count = take(data)?;
        let at = take_increasing(data, count)?;
        let out = take_increasing(data, count)?;
        let err = take_increasing(data, count)?;
        let sample = |((at, stdout), stderr): ((u64, u64), u64)| {
            let at = Timestamp::from_unix_micros(i64::try_from(at.checked_mul(1000)?).ok()?);
            Some(Sample { at, stdout, stderr })
        };
        let samples = at.into_iter().zip(out).zip(err).map(sample).collect::<Option<_>>()?;
        Some(Self { interval, points, stdout, stderr, samples })
    }
}

/// The offset of a stream at the last sample before `since`; see [`Index::offset_since`].
pub fn offset_since(samples: &[Sample], stream: OutputStream, since: Timestamp) -> Option<u64> {
    let length = |sample: &Sample| match stream {
        OutputStream::Stdout => sample.stdout,
        OutputStream::Stderr => sample.stderr,
    };
    let later = samples.partition_point(|sample| sample.at < since);
    match later.checked_sub(1) {
        Some(before) => samples.get(before).map(length),
        None => samples.first().map(|_| 0),
    }
}

/// At most [`MAX_SAMPLES`] of the samples, evenly, with the last one.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    let step = samples.len().div_ceil(MAX_SAMPLES).max(1);
    let mut thinned: Vec<Sample> = samples.iter().rev().step_by(step).copied().collect();
    thinned.reverse();
    thinned
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.unix_micros() / 1000).unwrap_or_default()
}

fn push_increasing(to: &mut Vec<u8>, numbers: impl Iterator<Item = u64>) {
    let mut last = 0;
    for number in numbers {
        push(to, number.saturating_sub(last));
        last = last.max(number);
    }
}

fn take_increasing(data: &mut &[u8], count: u64) -> Option<Vec<u64>> {
    // Each number has at least a byte, so a wrong count allocates nothing.
    let count = usize::try_from(count).ok().filter(|count| *count <= data.len())?;
    let mut last = 0_u64;
    let mut next = || {
        last = last.checked_add(take(data)?)?;
        Some(last)
    };
    (0..count).map(|_| next()).collect()
}

fn take_section(data: &mut &[u8]) -> Option<Section> {
    let mut next = || take(data);
    let (start, length) = (next()?, next()?);
    let omission = Omission { start: next()?, length: next()?, mark: next()? };
    Some(Section { start, length, omission: (omission.length > 0).then_some(omission) })
}

/// An empty gzip member with `data` in its extra field.
fn member(data: Vec<u8>) -> Option<Vec<u8>> {
    let subfield = data.len() + 4 + FOOTER.len();
    let extra = subfield + SUBFIELD.len() + 2;
    let length = gzip::HEADER.len() + 2 + extra + EMPTY_DATA.len();
    let mut member = gzip::HEADER.to_vec();
    member[3] = 1 << 2;
    member.extend(u16::try_from(extra).ok()?.to_le_bytes());
    member.extend(SUBFIELD);
    member.extend(u16::try_from(subfield).ok()?.to_le_bytes());
    member.extend(data);
    member.extend(u32::try_from(length).ok()?.to_le_bytes());
    member.extend(FOOTER);
    member.extend(EMPTY_DATA);
    Some(member)
}

/// The range of the uncompressed archive with these stored bytes of a section.
pub(crate) fn range_in_archive(section: &Section, stored: Range<u64>) -> Range<u64> {
    let end = stored.end.min(section.length);
    section.start + stored.start.min(end)..section.start + end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn sample(seconds: i64, stdout: u64, stderr: u64) -> Sample {
        Sample { at: at(seconds), stdout, stderr }
    }

    fn index() -> Index {
        let (stdout, stderr) = sections(5000, 7);
        let omission = Some(Omission { start: 2000, length: 90_000, mark: 30 });
        Index {
            interval: 1024,
            points: vec![10, 400, 900, 1000, 1100, 1200, 1300, 1400],
            stdout: Section { omission, ..stdout },
            stderr,
            samples: vec![sample(100, 10, 0), sample(101, 20, 0), sample(105, 95_000, 7)],
        }
    }

    #[test]
    fn index_survives_a_round_trip_behind_other_bytes() {
        let file = [b"other bytes".to_vec(), index().to_member().unwrap()].concat();
        let read = |bytes: &[u8]| Index::from_end(bytes, 10_000);
        assert_eq!(read(&file), Some(index()));
        assert_eq!(read(&file[..file.len() - 1]), None);
        assert_eq!(read(&file[30..]), None);
    }

    /// A user can upload any file, and its index could make a reader work without end.
    #[test]
    fn index_that_does_not_fit_its_file_is_none() {
        let none = |change: fn(&mut Index), file_length| {
            let mut index = index();
            change(&mut index);
            assert_eq!(Index::from_end(&index.to_member().unwrap(), file_length), None, "{index:?}");
        };
        none(|_| {}, 1400);
        none(|index| index.stdout.length = 1 << 63, 10_000);
        none(|index| index.stderr.length = u64::MAX, u64::MAX);
        none(|index| index.stdout.start = 0, 10_000);
        none(|index| index.stderr.start = 1 << 40, 10_000);
        none(|index| index.interval = 0, 10_000);
        none(|index| index.interval = u64::MAX, 10_000);
        none(|index| index.points.clear(), 10_000);
        none(|index| index.stdout.omission = Some(Omission { start: 4990, length: 1, mark: 30 }), 10_000);
        none(|index| index.stdout.omission = Some(Omission { start: 1, length: 1, mark: u64::MAX }), 10_000);
    }

    #[test]
    fn index_with_many_points_and_samples_fits() {
        let length = 1 << 40;
        let interval = interval_for(length).unwrap();
        let (stdout, stderr) = sections(length, 0);
        let end = stderr.start + 2 * TAR_BLOCK;
        let points: Vec<u64> = (0..=end / interval).map(|number| 10 + number * (interval - 1)).collect();
        assert!(points.len() <= 4097);
        let samples =
            (0..100_000_u32).map(|second| sample(second.into(), u64::from(second) * 5_000_000, 0)).collect();
        let index = Index { interval, points, stdout, stderr, samples };
        let member = index.to_member().unwrap();
        assert!(member.len() as u64 <= MAX_INDEX_BYTES);
        let read = Index::from_end(&member, length).unwrap();
        assert_eq!(read.points, index.points);
        assert!(read.samples.len() > 1000 && read.samples.last() == index.samples.last());
    }

    #[test]
    fn restart_point_before_an_offset() {
        let index = index();
        assert_eq!(index.point_before(0), Some((10, 0)));
        assert_eq!(index.point_before(1023), Some((10, 1023)));
        assert_eq!(index.point_before(2050), Some((900, 2)));
        assert_eq!(index.point_before(9000), Some((1400, 9000 - 7 * 1024)));
        assert_eq!(index.point_after(1023), Some(400));
        assert_eq!(index.point_after(7 * 1024), None);
        assert_eq!(Index::default().point_before(5), None);
    }

    #[test]
    fn offset_since_a_time_is_that_of_the_sample_before() {
        let index = index();
        let since = |seconds| index.offset_since(OutputStream::Stdout, at(seconds));
        assert_eq!(since(99), Some(0));
        assert_eq!(since(100), Some(0), "what was written until then may be of then");
        assert_eq!(since(101), Some(10));
        assert_eq!(since(104), Some(20));
        assert_eq!(since(106), Some(95_000));
        assert_eq!(Index::default().offset_since(OutputStream::Stdout, at(1)), None);
    }

    #[test]
    fn reader_continues_after_the_omission() {
        let section = index().stdout;
        let position = |written| {
            let StoredPosition { offset, omitted } = section.position(written);
            (offset, omitted)
        };
        assert_eq!(position(1999), (1999, None));
        assert_eq!(position(2000), (2000, None), "the stored line follows");
        assert_eq!(position(2001), (2030, Some(89_999)));
        assert_eq!(position(91_999), (2030, Some(1)));
        assert_eq!(position(92_000), (2030, None));
        assert_eq!(position(92_001), (2031, None));
        assert_eq!(position(u64::MAX), (5000, None));
        assert_eq!(index().stderr.position(9).offset, 7);
    }

    #[test]
    fn output_of_up_to_a_mebibyte_needs_no_points() {
        assert_eq!(interval_for(1 << 20), None);
        assert_eq!(interval_for((1 << 20) + 1), Some(1 << 20));
        assert_eq!(interval_for(1 << 34), Some(1 << 22));
    }

    proptest! {
        #[test]
        fn damaged_index_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0_usize..200) {
            _ = Index::from_end(&bytes, 5000);
            let mut member = index().to_member().unwrap();
            let place = place % member.len();
            bytes.truncate(3);
            member.splice(place..place, bytes);
            if let Some(index) = Index::from_end(&member, 10_000) {
                _ = (index.point_before(u64::MAX), index.point_after(u64::MAX), index.stdout.position(u64::MAX));
            }
        }
    }
}
