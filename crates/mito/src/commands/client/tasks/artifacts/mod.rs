//! `mito client tasks artifacts`.

pub(super) mod download;
