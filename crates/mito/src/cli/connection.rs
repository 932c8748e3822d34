//! Whom to talk to, and as whom: the same options for every command that talks to a coordinator.

use std::path::PathBuf;

use clap::Args;

use crate::config::Options;

#[derive(Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// The address of the coordinator, or of several with commas between them
    #[arg(short, long, value_name = "URL")]
    pub(crate) coordinator: Option<String>,
    /// A PEM file of certificate authorities to trust at https:// addresses, beside those of the system
    #[arg(long, value_name = "PATH")]
    ca_cert: Option<PathBuf>,
    /// The user to log in as
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

impl ConnectionArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("ca_cert", self.ca_cert.as_ref())
            .text("user", self.user.as_ref())
            .path("credential_path", self.credential_path.as_ref())
    }
}
