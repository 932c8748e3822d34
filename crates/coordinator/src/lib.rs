//! The service: HTTP API, authentication, dispatch and background passes.
//!
//! [`Coordinator::start`] turns [`Settings`] into a running service. Requests come in through `api`
//! (a file per verb), prove who is asking through `auth`, and end in an operation of the store.
//! `dispatch` lets waiting workers know; `events` passes live output on; `reconcilers` repair what time
//! and failures leave behind. Nothing here holds state that would be missed after a `kill -9`.

mod api;
mod app;
mod auth;
mod connections;
mod dispatch;
mod error;
mod events;
mod failures;
mod metrics;
mod preface;
mod reconcilers;
mod serve;
mod settings;
mod shares;
mod start;
mod tls;

pub use mitosis_background::TaskFailed;

pub use api::forwarded::{InvalidNetwork, TrustedProxies};
pub use api::routes::{Asks, Route, routes};
pub use auth::keys::KeyError;
pub use settings::{
    Database, KeyFiles, LeaseClockSource, Objects, RedisSettings, S3Settings, Settings, TlsFiles,
};
pub use start::{Coordinator, Running, StartError, Stop};
pub use tls::TlsError;
