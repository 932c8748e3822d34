//! The state of a coordinator, behind named operations.
//!
//! Everything that touches a database is in this crate: every SQL string, every migration, every
//! conversion of a row. An operation is named after its intention, is one transaction, and is durable
//! when it returns. The [`ops`] traits say what each promises; [`postgres`] and [`sqlite`] keep the
//! promises, and one conformance suite holds both to them.
//!
//! An `Err` from an operation is always a [`StoreError`]: the database could not do its work. What the
//! caller asked for and can't have ("the name is taken") is part of the `Ok` value.

mod backend;
mod batch;
mod code;
mod db;
mod error;
mod matches;
mod needs;
pub mod ops;
pub mod postgres;
mod retention;
mod shared;
pub mod sqlite;
mod turns;
mod walk;

pub use error::{BoxError, ForeignSchema, NewerSchema, SetupError, StoreError};
pub use ops::Store;
