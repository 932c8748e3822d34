//! Who calls, and how the connection to the coordinator is kept: stored tokens, logins, reconnecting.

pub(crate) mod credentials;
pub(crate) mod identity;
pub(crate) mod reconnect;
