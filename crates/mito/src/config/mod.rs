//! Configuration in layers (command line §2): defaults, a running `mito dev`, the user's file, the given file, the
//! environment, options, and the `[global]` table above all of them. It is read once at the start; no other module reads the environment.

pub(crate) mod bind_address;
pub(crate) mod client;
pub(crate) mod coordinator;
mod environment;
mod error;
mod file;
mod file_owner;
pub(crate) mod instances;
pub(crate) mod inventory;
pub(crate) mod keys;
mod layers;
mod value;
pub(crate) mod worker;

pub(crate) use environment::Environment;
pub(crate) use error::{ConfigError, Origin};
pub(crate) use file::has_secrets;
pub(crate) use file_owner::{check_owner, read_secret};
pub(crate) use instances::Instance;
pub(crate) use keys::Role;
pub(crate) use layers::{Layers, Options, files};
pub(crate) use value::{Delay, Size, Slots};
