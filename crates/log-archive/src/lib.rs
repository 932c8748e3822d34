//! The format of `std-log` archives, which contain the output streams of a task.
//!
//! An archive is a `.tar.gz` file with two entries, `std-log/stdout.log` and `std-log/stderr.log`, that every tool can
//! unpack. An archive of long output also has *restart points*, positions at which decompression can start, and an
//! [`Index`] with those points and the times at which output was written. The index is in the extra field of an empty
//! gzip member at the end, which other tools skip. So a reader finds the end of an archive of any length, or what was
//! written since a time, without reading the rest.
//!
//! This crate does no I/O of its own: readers feed it bytes.

mod extract;
mod gzip;
mod index;
mod inflate;
mod varint;

pub use extract::{Extractor, Step};
pub use gzip::GzipWriter;
pub use index::{
    Index, MAX_INDEX_BYTES, Omission, Sample, Section, StoredPosition, interval_for, offset_since,
    omission_mark, sections,
};
pub use inflate::InvalidArchive;
