//! Tests on real databases.
//!
//! [`conformance`] tests the operations, once for all backends; [`backend`] starts and reads the backends; the
//! other tests are about one backend only.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test, in its helpers too")]

mod backend;
mod conformance;
mod connection;
mod harness;
mod job_histories;
mod model;
mod server;

conformance::conformance!(postgres: crate::backend::postgres::Postgres);
conformance::conformance!(sqlite: crate::backend::sqlite::Sqlite);
