//! Assignment and completion of tasks.

mod claim;
mod complete;
mod exchange;

pub(crate) use claim::claim_or_resume;
pub(crate) use complete::complete;
pub(crate) use exchange::exchange;
