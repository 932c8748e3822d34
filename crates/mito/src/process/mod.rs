//! This process: its signals, its log, its failures and its exit code.

pub(crate) mod exit;
pub(crate) mod failure;
pub(crate) mod guard;
pub(crate) mod init;
pub(crate) mod logging;
pub(crate) mod signals;
pub(crate) mod version;
