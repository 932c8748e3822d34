//! Workers, as users see them (HTTP contract §11).

mod change;
mod drain;
mod get;
mod query;
mod register;
mod shutdown;

pub use register::Registration;
pub(crate) use shutdown::shutdown_query;
