//! Stories about stores, told on real databases.
//!
//! [`conformance`] holds every promise of the operations, once for all backends; [`backend`] says how a
//! backend is started and looked into; the rest is about one backend only.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics, in its helpers too")]

mod backend;
mod conformance;
mod connection;
mod harness;
mod model;
mod server;

conformance::conformance!(postgres: crate::backend::postgres::Postgres);
conformance::conformance!(sqlite: crate::backend::sqlite::Sqlite);
