//! Authentication: passwords, tokens, and the extractors that handlers take as arguments.
//!
//! A handler that has a [`Caller`](caller::Caller), an [`AdminCaller`](caller::AdminCaller) or a
//! [`WorkerCaller`](worker::WorkerCaller) among its arguments runs only for such a caller.

pub(crate) mod agent;
pub(crate) mod cache;
pub(crate) mod caller;
pub(crate) mod default_password;
pub(crate) mod keys;
pub(crate) mod login_codes;
pub(crate) mod page_session;
pub(crate) mod passwords;
pub(crate) mod revalidation;
pub(crate) mod throttle;
pub(crate) mod tokens;
pub(crate) mod worker;
