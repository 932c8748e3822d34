//! The typed Rust SDK for the HTTP API.
//!
//! [`Client`] is an address; [`UserClient`] adds a user's token and [`WorkerClient`] a worker's, so that one
//! can't be used in place of the other. A verb has the same name as its route and its file in the coordinator.
//! Errors never contain tokens or signed links.

mod account;
mod addresses;
mod admin;
mod call;
mod capabilities;
mod connection;
mod doctor;
mod download;
mod error;
mod event_stream;
mod groups;
mod jobs;
mod limits;
mod schedules;
mod secrets;
mod tasks;
mod tokens;
mod transfer;
mod worker_calls;
mod workers;

pub use account::EarlierTokens;
pub use admin::{AccountKind, PersonalTokens};
pub use capabilities::Capabilities;
pub use connection::{Client, UserClient, WorkerClient};
pub use doctor::AddressCheck;
pub use download::{Download, Known};
pub use error::{ClientError, TransportError};
pub use jobs::JobEvents;
pub use tasks::{EventScope, LogBytes, TaskEvents};
pub use transfer::{FileOperation, OnBytes, TransferError};
pub use worker_calls::LeaseTerms;
pub use workers::Registration;
