//! The state of a coordinator, behind named operations.
//!
//! All code that accesses a database is in this crate: every SQL statement, every migration, every conversion
//! of a row. An operation is named after its intention, runs in one transaction, and is durable when it
//! returns. The [`ops`] traits document the operations; [`postgres`] and [`sqlite`] implement them, and one
//! conformance suite tests both.
//!
//! An `Err` from an operation is always a [`StoreError`]: the database failed. A refused request ("the name is
//! taken") is part of the `Ok` value.

mod backend;
mod db;
mod enum_codes;
mod error;
mod exchange_plan;
mod fairness;
mod index_choice;
mod observer;
pub mod ops;
pub mod postgres;
mod query_sql;
mod references;
mod retention;
mod shared;
pub mod sqlite;

pub use error::{BoxError, ForeignSchema, NewerSchema, SetupError, StoreError};
pub use observer::{Observer, PoolStatus};
pub use ops::Store;
