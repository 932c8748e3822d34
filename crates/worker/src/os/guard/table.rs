//! The memory that a worker shares with its guard: a file with the leases and the running process groups.
//!
//! A renewal, a start and an end are one small write each. The guard reads the whole file when it has to
//! decide.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use mitosis_client::LeaseTerms;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use crate::lease_limits::{length, margin};
use crate::os::boot_clock::BootInstant;
use crate::os::processes::{Mark, StartTime};

/// The numbers of leases and of slots, 4 bytes each.
const HEAD_BYTES: usize = 8;
/// The renewal time in nanoseconds since boot, the lease length, and the silence after which the worker is
/// missed.
const TERM_BYTES: usize = 24;
/// A process group, the limit of its attempt in milliseconds, the mark and the start of the attempt, the group that
/// the guard has killed, and padding.
const SLOT_BYTES: usize = 32;
const KILLED_OFFSET: u64 = 24;

/// The table as the worker writes it.
#[derive(Debug, Clone)]
pub(super) struct Table {
    file: Arc<File>,
    terms: usize,
}

/// The table entry of one registration's lease.
#[derive(Debug, Clone)]
pub(crate) struct LeaseEntry {
    file: Arc<File>,
    offset: u64,
}

/// The table entry of one slot.
#[derive(Debug, Clone)]
pub(crate) struct SlotEntry {
    file: Arc<File>,
    offset: u64,
}

impl Table {
    /// Creates a table for these numbers of registrations and slots. One registration has all slots, or each
    /// has one.
    pub(super) fn new(registrations: usize, slots: usize) -> io::Result<Self> {
        let file = File::from(memfd_create(c"running", MFdFlags::MFD_CLOEXEC)?);
        file.set_len((HEAD_BYTES + registrations * TERM_BYTES + slots * SLOT_BYTES) as u64)?;
        let number = |count: usize| u32::try_from(count).map_err(io::Error::other);
        file.write_all_at(&number(registrations)?.to_ne_bytes(), 0)?;
        file.write_all_at(&number(slots)?.to_ne_bytes(), 4)?;
        Ok(Self { file: Arc::new(file), terms: registrations })
    }

    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The lease entry of a registration, counted from 0.
    pub(super) fn lease_entry(&self, registration: usize) -> LeaseEntry {
        LeaseEntry { file: self.file.clone(), offset: term_offset(registration) }
    }

    /// The entry of a slot, counted from 0.
    pub(super) fn slot(&self, slot: usize) -> SlotEntry {
        SlotEntry { file: self.file.clone(), offset: slot_offset(self.terms, slot) }
    }
}

impl LeaseEntry {
    /// Records a renewal with these terms, which count from `from`.
    pub(crate) fn renewed(&self, from: BootInstant, terms: LeaseTerms) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_ne_bytes();
        let mut term = [0; TERM_BYTES];
        term[..8].copy_from_slice(&from.as_nanos().to_ne_bytes());
        term[8..16].copy_from_slice(&nanos(terms.lease));
        term[16..].copy_from_slice(&nanos(terms.missed_after));
        write(&self.file, &term, self.offset);
    }
}

impl SlotEntry {
    /// Records that the slot runs this group, for an attempt that may have a shorter limit than the lease.
    pub(crate) fn runs(&self, group: Pid, limit: Option<Duration>, mark: Mark, since: StartTime) {
        let limit = limit.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1));
        self.write(group.as_raw(), limit, mark, since);
    }

    /// Records that the slot runs nothing. This must happen before the system can reuse the group's number.
    pub(crate) fn clear(&self) {
        self.write(0, 0, Mark::default(), StartTime::default());
    }

    /// Whether the guard has killed this group, because the worker had not done so when its lease expired.
    pub(crate) fn was_killed(&self, group: Pid) -> bool {
        let mut killed = [0; 4];
        self.file.read_exact_at(&mut killed, self.offset + KILLED_OFFSET).is_ok()
            && i32::from_ne_bytes(killed) == group.as_raw()
    }

    fn write(&self, group: i32, limit: u32, mark: Mark, since: StartTime) {
        let mut entry = [0; 24];
        entry[..4].copy_from_slice(&group.to_ne_bytes());
        entry[4..8].copy_from_slice(&limit.to_ne_bytes());
        entry[8..16].copy_from_slice(&mark.0.to_ne_bytes());
        entry[16..].copy_from_slice(&since.0.to_ne_bytes());
        write(&self.file, &entry, self.offset);
    }
}

fn write(file: &File, bytes: &[u8], offset: u64) {
    if let Err(error) = file.write_all_at(bytes, offset) {
        tracing::warn!(%error, "failed to update the guard's table; if this worker is killed, a command can outlive it");
    }
}

fn term_offset(registration: usize) -> u64 {
    (HEAD_BYTES + registration * TERM_BYTES) as u64
}

fn slot_offset(terms: usize, slot: usize) -> u64 {
    (HEAD_BYTES + terms * TERM_BYTES + slot * SLOT_BYTES) as u64
}

/// The table as the guard reads it.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    terms: usize,
    slots: usize,
}

/// A running process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunningGroup {
    pub(super) slot: usize,
    pub(super) group: Pid,
    /// When the coordinator is about to requeue the task. None if that is not known yet.
    pub(super) deadline: Option<BootInstant>,
    /// The mark in the environment of all processes of the attempt.
    pub(super) mark: Mark,
    /// When the attempt was started.
    pub(super) since: StartTime,
}

impl Reader {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0)?;
        let number = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("four bytes")) as usize;
        let (terms, slots) = (number(&head[..4]), number(&head[4..]));
        let length = slot_offset(terms, slots);
        match terms > 0 && file.metadata()?.len() == length {
            true => Ok(Self { file, terms, slots }),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// All running groups.
    pub(super) fn entries(&self) -> io::Result<Vec<RunningGroup>> {
        let mut bytes = vec![0; self.terms * TERM_BYTES + self.slots * SLOT_BYTES];
        self.file.read_exact_at(&mut bytes, HEAD_BYTES as u64)?;
        let (terms, slots) = bytes.split_at(self.terms * TERM_BYTES);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        let terms: Vec<(BootInstant, Duration, Duration)> = terms
            .chunks_exact(TERM_BYTES)
            .map(|term| {
                let time = |bytes| Duration::from_nanos(number(bytes));
                (BootInstant::from_nanos(number(&term[..8])), time(&term[8..16]), time(&term[16..]))
            })
            .collect();
        let entries = slots.chunks_exact(SLOT_BYTES).enumerate().filter_map(|(slot, entry)| {
            let group = i32::from_ne_bytes(entry[..4].try_into().expect("four bytes"));
            let limit = u32::from_ne_bytes(entry[4..8].try_into().expect("four bytes"));
            // One registration has all slots, or each has one.
            let (from, lease, missed_after) =
                terms[if self.terms == 1 { 0 } else { slot.min(self.terms - 1) }];
            let limit = (limit > 0).then(|| Duration::from_millis(limit.into()));
            let length = length(lease, missed_after, limit);
            let deadline = (!length.is_zero()).then(|| from + (length.saturating_sub(margin(length) / 2)));
            let (mark, since) = (Mark(number(&entry[8..16])), StartTime(number(&entry[16..24])));
            (group > 1).then(|| RunningGroup { slot, group: Pid::from_raw(group), deadline, mark, since })
        });
        Ok(entries.collect())
    }

    /// Records that a group is about to be killed, so that its worker doesn't take that for its own end.
    pub(super) fn record_kill(&self, entry: &RunningGroup) -> io::Result<()> {
        let offset = slot_offset(self.terms, entry.slot) + KILLED_OFFSET;
        self.file.write_all_at(&entry.group.as_raw().to_ne_bytes(), offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Lease;

    const SECOND: Duration = Duration::from_secs(1);

    fn terms(lease: u32, missed_after: u32) -> LeaseTerms {
        let (lease, missed_after) = (SECOND * lease, SECOND * missed_after);
        LeaseTerms { lease, missed_after, gives_reasons: true }
    }

    fn deadlines(reader: &Reader) -> Vec<(usize, i32, Option<Duration>)> {
        let from = BootInstant::from_nanos(0);
        let entries = reader.entries().unwrap().into_iter();
        entries.map(|it| (it.slot, it.group.as_raw(), it.deadline.map(|it| it.since(from)))).collect()
    }

    #[test]
    fn slots_of_one_registration_end_with_its_lease_or_earlier() {
        let table = Table::new(1, 3).unwrap();
        let reader = Reader::new(table.file().unwrap()).unwrap();
        table.slot(0).runs(Pid::from_raw(70), None, Mark(7), StartTime(8));
        assert_eq!(deadlines(&reader), [(0, 70, None)]);
        table.lease_entry(0).renewed(BootInstant::from_nanos(0) + SECOND * 100, terms(30, 5));
        table.slot(2).runs(Pid::from_raw(72), Some(SECOND * 10), Mark(7), StartTime(8));
        // A little before the coordinator requeues the task, and after the worker should have acted.
        let ends = [128_500, 109_500].map(Duration::from_millis).map(Some);
        assert_eq!(deadlines(&reader), [(0, 70, ends[0]), (2, 72, ends[1])]);
        table.slot(0).clear();
        assert_eq!(deadlines(&reader), [(2, 72, ends[1])]);
    }

    #[test]
    fn each_renewal_updates_the_table() {
        let table = Table::new(1, 1).unwrap();
        let reader = Reader::new(table.file().unwrap()).unwrap();
        table.slot(0).runs(Pid::from_raw(70), None, Mark(7), StartTime(8));
        let start = BootInstant::from_nanos(0);
        let lease = Lease::new(start, terms(30, 5));
        lease.publish_to(table.lease_entry(0));
        assert_eq!(deadlines(&reader), [(0, 70, Some(Duration::from_millis(28_500)))]);
        lease.renew(start + SECOND * 20, terms(100, 5));
        assert_eq!(deadlines(&reader), [(0, 70, Some(SECOND * 115))]);
        // The next registration of a worker uses the same entry.
        Lease::new(start + SECOND * 50, terms(30, 5)).publish_to(table.lease_entry(0));
        assert_eq!(deadlines(&reader), [(0, 70, Some(Duration::from_millis(78_500)))]);
    }

    #[test]
    fn registrations_with_one_slot_have_separate_leases() {
        let table = Table::new(2, 2).unwrap();
        let reader = Reader::new(table.file().unwrap()).unwrap();
        for slot in 0..2 {
            table.slot(slot).runs(Pid::from_raw(70), None, Mark(7), StartTime(8));
        }
        table.lease_entry(1).renewed(BootInstant::from_nanos(0), terms(100, 30));
        assert_eq!(deadlines(&reader), [(0, 70, None), (1, 70, Some(SECOND * 95))]);
    }

    #[test]
    fn limit_of_an_attempt_is_between_the_missed_time_and_the_lease() {
        let table = Table::new(1, 3).unwrap();
        let reader = Reader::new(table.file().unwrap()).unwrap();
        table.lease_entry(0).renewed(BootInstant::from_nanos(0), terms(600, 20));
        for (slot, limit) in [1, 60, 3_600].into_iter().enumerate() {
            table.slot(slot).runs(Pid::from_raw(70), Some(SECOND * limit), Mark(7), StartTime(8));
        }
        let ends: Vec<_> = deadlines(&reader).iter().map(|(_, _, end)| end.unwrap().as_secs()).collect();
        assert_eq!(ends, [19, 57, 595]);
    }

    #[test]
    fn kill_is_recorded_for_one_group() {
        let table = Table::new(1, 1).unwrap();
        let reader = Reader::new(table.file().unwrap()).unwrap();
        let entry = table.slot(0);
        entry.runs(Pid::from_raw(70), None, Mark(7), StartTime(8));
        assert!(!entry.was_killed(Pid::from_raw(70)));
        reader.record_kill(&reader.entries().unwrap()[0]).unwrap();
        assert!(entry.was_killed(Pid::from_raw(70)));
        entry.runs(Pid::from_raw(71), None, Mark(7), StartTime(8));
        assert!(!entry.was_killed(Pid::from_raw(71)));
    }

    #[test]
    fn file_that_is_no_table_is_rejected() {
        let file = tempfile::tempfile().unwrap();
        assert!(Reader::new(file.try_clone().unwrap()).is_err());
        file.write_all_at(&[1; 64], 0).unwrap();
        assert!(Reader::new(file).is_err());
    }
}
