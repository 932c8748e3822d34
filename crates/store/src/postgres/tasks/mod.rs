//! Insertion of many tasks.

pub(crate) mod insert;
pub(crate) mod intern;
pub(crate) mod repeat;
