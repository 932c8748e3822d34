//! Links to the web page.

use mitosis_client::{ClientError, UserClient};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::text::shell_word;

/// A link to a view, which logs in once if the client has a session.
pub(in crate::commands) async fn to(view: &str, client: &UserClient) -> Result<String, Failure> {
    let address = client.client().address();
    match client.login_code().await {
        Ok(code) => Ok(format!("{address}/#login={}&to={view}", code.expose_secret())),
        // Only a session may issue a code.
        Err(error) if error.status() == Some(403) => Ok(format!("{address}/#{view}")),
        Err(error) => Err(failure(error, address)),
    }
}

fn failure(error: ClientError, address: &str) -> Failure {
    match error.status() {
        Some(404) => Failure::new(Exit::Failure, format!("the coordinator at {address} has no web page"))
            .with_hint("update the coordinator"),
        _ => error.into(),
    }
}

/// The command that makes an address of this machine reachable from the machine of an SSH client. `None` without SSH, and
/// for addresses that others can reach.
pub(in crate::commands) fn tunnel(address: &str, environment: &Environment) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let is_local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let connection = environment.text("SSH_CONNECTION").filter(|_| is_local)?;
    let server = connection.split(' ').nth(2)?;
    let login = environment.text("USER").map_or_else(|| server.to_owned(), |user| format!("{user}@{server}"));
    let port = url.port_or_known_default()?;
    Some(format!("ssh -L {port}:{}:{port} {}", url.host_str()?, shell_word(&login)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_ssh() -> Environment {
        let mut environment = Environment::default();
        environment.set("SSH_CONNECTION", "192.0.2.7 50022 198.51.100.3 22");
        environment.set("USER", "ann");
        environment
    }

    #[test]
    fn local_address_over_ssh_needs_a_tunnel() {
        let tunnel = |address| tunnel(address, &over_ssh());
        let command = "ssh -L 5000:127.0.0.1:5000 ann@198.51.100.3";
        assert_eq!(tunnel("http://127.0.0.1:5000").as_deref(), Some(command));
        assert!(tunnel("http://localhost:5000").is_some() && tunnel("http://[::1]:5000").is_some());
        assert_eq!(tunnel("https://mito.example.org"), None);
    }

    #[test]
    fn without_ssh_there_is_no_tunnel() {
        assert_eq!(tunnel("http://127.0.0.1:5000", &Environment::default()), None);
    }
}
