//! Stories about stores, told on real databases.
//!
//! [`conformance`] holds every promise of the operations, once for all backends; [`backend`] says how a
//! backend is started and looked into; the rest is about one backend only.

mod backend;
mod conformance;
mod stage;

conformance::conformance!(sqlite: crate::backend::sqlite::Sqlite);
