//! Why a task stands where it stands, and what can be done about it.
//!
//! [`Facts`] is what has to be known, [`Reason`] what follows from it, and [`explain`] says it.
//! A further reason is a further variant of [`Reason`]: one place decides when it holds, one how it reads,
//! and the compiler asks for both.

mod decide;
mod facts;
mod reason;
mod tell;
#[cfg(test)]
mod tests;

pub use facts::{Ahead, Crew, Facts, Found, Holder, Moment, Nearest, Standing, Watched};
pub use reason::Reason;
pub use tell::explain;
