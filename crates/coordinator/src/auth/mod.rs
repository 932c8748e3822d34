//! Who is asking: passwords, tokens, and the proofs that handlers take as arguments.
//!
//! A handler that has a [`Caller`](caller::Caller), an [`AdminCaller`](caller::AdminCaller) or a
//! [`WorkerCaller`](worker::WorkerCaller) among its arguments can't be reached without one.

pub(crate) mod agent;
pub(crate) mod caller;
pub(crate) mod default_password;
pub(crate) mod keys;
pub(crate) mod passwords;
pub(crate) mod remembered;
pub(crate) mod standing;
pub(crate) mod throttle;
pub(crate) mod tokens;
pub(crate) mod worker;
