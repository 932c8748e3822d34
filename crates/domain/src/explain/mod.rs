//! Explains why a task is in its state, and what can be done about it.
//!
//! [`Facts`] is the input, [`Reason`] the conclusion, and [`explain`] the description. A new reason is a new
//! variant of [`Reason`]: one place decides when it applies, one place describes it, and the compiler requires
//! both.

mod decide;
mod describe;
mod facts;
pub mod placement;
mod reason;
#[cfg(test)]
mod tests;

pub use describe::{explain, resources_text};
pub use facts::{
    Ahead, AtLimit, EligibleWorkers, Facts, Found, Hold, Holder, Moment, Nearest, Placed, Standing, Watched,
};
pub use reason::Reason;
