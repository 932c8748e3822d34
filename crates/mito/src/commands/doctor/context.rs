//! The shared state of the checks.

use mitosis_client::{AddressCheck, Client, UserClient};
use mitosis_protocol::doctor::{AdminDoctorReply, DoctorReply};
use url::{Host, Url};

use super::finding::{Finding, chain};
use crate::config::Environment;
use crate::config::client::ClientConfig;

/// The shared state of the checks. One check sets each optional part; later checks are skipped without it.
pub(super) struct DoctorContext<'a> {
    pub(super) config: ClientConfig,
    pub(super) environment: &'a Environment,
    /// The required free space in megabytes.
    pub(super) min_free: u64,
    /// The coordinator and its reply; set by the check `address`.
    pub(super) coordinator: Option<(Client, AddressCheck)>,
    /// The user and the coordinator's report; set by the check `login`.
    pub(super) user: Option<User>,
}

/// A logged-in user.
pub(super) struct User {
    pub(super) client: UserClient,
    /// The coordinator's report, or the reason why there is none.
    pub(super) reply: Result<DoctorReply, String>,
    /// The coordinator's report for administrators.
    pub(super) admin: Option<AdminDoctorReply>,
}

impl<'a> DoctorContext<'a> {
    pub(super) fn new(config: ClientConfig, environment: &'a Environment, min_free: u64) -> Self {
        Self { config, environment, min_free, coordinator: None, user: None }
    }

    /// Returns the coordinator, or the result of a check that needs it.
    pub(super) fn coordinator(&self, check: &'static str) -> Result<(&Client, &AddressCheck), Finding> {
        match &self.coordinator {
            Some((client, look)) => Ok((client, look)),
            None => Err(Finding::skip(check, "needs a coordinator")),
        }
    }

    /// Sets the logged-in user, and requests the coordinator's report.
    pub(super) async fn set_user(&mut self, user: Option<UserClient>) {
        let Some(client) = user else { return };
        let reply = client.doctor().await.map_err(|error| chain(&error));
        let admin = client.admin_doctor().await.ok();
        self.user = Some(User { client, reply, admin });
    }

    /// Returns the user, or the result of a check that needs one.
    pub(super) fn user(&self, check: &'static str) -> Result<&User, Finding> {
        self.user.as_ref().ok_or_else(|| Finding::skip(check, "needs a login"))
    }

    /// Returns the coordinator's report, or the result of a check that needs it.
    pub(super) fn reply(&self, check: &'static str) -> Result<(&User, &DoctorReply), Finding> {
        let user = self.user(check)?;
        match &user.reply {
            Ok(reply) => Ok((user, reply)),
            Err(error) => Err(Finding::skip(check, format!("the coordinator does not report it: {error}"))),
        }
    }
}

/// Whether an address is on this machine only.
pub(super) fn is_loopback(address: &str) -> bool {
    let url = Url::parse(address).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
