//! The object stores as their callers see them.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue panics, in its helpers too")]

mod backend;
mod canned;
mod conformance;
mod directory;
mod link_server;
mod s3;
