//! The service: HTTP API, authentication, dispatch and background passes.
//!
//! [`Coordinator::start`] turns [`Settings`] into a running service. Requests come in through `api`
//! (one file per operation), are authenticated by `auth`, and end in an operation of the store.
//! `dispatch` assigns tasks to waiting workers; `jobs` writes the tasks of jobs when they can run soon; `events` forwards
//! changes and live output; `reconcilers` repair the effects of failures. Nothing here holds state that would be lost after a `kill -9`.

mod api;
mod app;
mod auth;
mod connections;
mod dispatch;
mod error;
mod events;
mod failure_log;
mod http2_detect;
mod jobs;
mod metrics;
mod notify;
mod observed_objects;
mod publish;
mod reconcilers;
mod schedules;
mod secrets;
mod serve;
mod settings;
mod start;
mod tls;
mod user_limits;
mod web;

pub use mitosis_background::TaskFailed;
pub use mitosis_domain::notify::{AllowedReceivers, InvalidAllowed};

pub use api::forwarded::{InvalidNetwork, TrustedProxies};
pub use api::routes::{Access, Route, routes};
pub use auth::keys::KeyError;
pub use settings::{
    Database, KeyFiles, LeaseClockSource, Objects, RedisSettings, RetentionSettings, S3Settings, Settings,
    TlsFiles,
};
pub use start::{Coordinator, Running, StartError, Stop};
pub use tls::TlsError;
