//! What the checks know, and find out for one another.

use mitosis_client::{AddressCheck, Client, UserClient};
use mitosis_protocol::doctor::{AdminDoctorReply, DoctorReply};
use url::{Host, Url};

use super::finding::{Finding, chain};
use crate::config::Environment;
use crate::config::client::ClientConfig;

/// What the checks know. Each optional part is found out by one check, and the checks after it do
/// without when that one failed.
pub(super) struct DoctorContext<'a> {
    pub(super) config: ClientConfig,
    pub(super) environment: &'a Environment,
    /// Megabytes.
    pub(super) min_free: u64,
    /// Who answers; by `address`.
    pub(super) coordinator: Option<(Client, AddressCheck)>,
    /// The user, and what the coordinator reports to users; set by `login`.
    pub(super) user: Option<User>,
}

/// A user who is let in.
pub(super) struct User {
    pub(super) client: UserClient,
    /// What the coordinator reports, or why it does not.
    pub(super) reply: Result<DoctorReply, String>,
    /// What it reports to administrators.
    pub(super) admin: Option<AdminDoctorReply>,
}

impl<'a> DoctorContext<'a> {
    pub(super) fn new(config: ClientConfig, environment: &'a Environment, min_free: u64) -> Self {
        Self { config, environment, min_free, coordinator: None, user: None }
    }

    /// The coordinator, for a check that is about it.
    pub(super) fn coordinator(&self, check: &'static str) -> Result<(&Client, &AddressCheck), Finding> {
        match &self.coordinator {
            Some((client, look)) => Ok((client, look)),
            None => Err(Finding::skip(check, "needs a coordinator")),
        }
    }

    /// Sets the user who is logged in, and asks the coordinator for its report.
    pub(super) async fn set_user(&mut self, user: Option<UserClient>) {
        let Some(client) = user else { return };
        let reply = client.doctor().await.map_err(|error| chain(&error));
        let admin = client.admin_doctor().await.ok();
        self.user = Some(User { client, reply, admin });
    }

    /// The user, for a check that needs one.
    pub(super) fn user(&self, check: &'static str) -> Result<&User, Finding> {
        self.user.as_ref().ok_or_else(|| Finding::skip(check, "needs a login"))
    }

    /// The coordinator's report, for a check that needs it.
    pub(super) fn reply(&self, check: &'static str) -> Result<(&User, &DoctorReply), Finding> {
        let user = self.user(check)?;
        match &user.reply {
            Ok(reply) => Ok((user, reply)),
            Err(error) => Err(Finding::skip(check, format!("the coordinator does not report it: {error}"))),
        }
    }
}

/// Whether an address leads to this machine only.
pub(super) fn is_loopback(address: &str) -> bool {
    let url = Url::parse(address).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
