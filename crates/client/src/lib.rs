//! The typed Rust SDK over the HTTP API.
