//! Options for the connection to a coordinator, shared by all commands that have one.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Options, keys};

#[derive(Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// Address of the coordinator, or a comma-separated list
    #[arg(short, long, value_name = "URL")]
    pub(crate) coordinator: Option<String>,
    /// PEM file of certificate authorities to trust in addition to those of the system
    #[arg(long, value_name = "PATH")]
    ca_cert: Option<PathBuf>,
    /// User to log in as
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// File of stored tokens
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// Path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

impl ConnectionArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .set(keys::COORDINATOR_ADDR, self.coordinator.clone())
            .set(keys::CA_CERT, self.ca_cert.clone())
            .set(keys::USER, self.user.clone())
            .set(keys::CREDENTIAL_PATH, self.credential_path.clone())
    }
}
