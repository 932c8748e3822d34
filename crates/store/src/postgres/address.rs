//! Parsing of `db_url`. No error message quotes a part of it, since any part may belong to a password.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Tls, Verify};
use crate::{BoxError, StoreError};

/// A valid database address, with everything that a connection needs.
#[derive(Debug)]
pub(super) struct Address {
    /// The configuration of the driver.
    pub(super) config: Config,
    /// The TLS configuration, from parameters that the driver does not support.
    pub(super) tls: Tls,
}

impl Address {
    /// Parses a `postgres://` URL.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        read(url).map_err(|source| StoreError::Address { address: "db_url".to_owned(), source })
    }

    /// The address for messages, without the password.
    pub(super) fn shown(&self) -> String {
        let hosts: Vec<_> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("postgres://{}:{port}/{database}", hosts.join(","))
    }
}

fn read(url: &str) -> Result<Address, BoxError> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or("it must start with postgres://")?;
    // The driver ends the credentials at the first `@`, and would take the rest of a password for a host.
    if rest.matches('@').count() > 1 {
        return Err("it contains more than one `@`: write the one in the password or user name as %40".into());
    }
    // A question mark in a password does not start the parameters.
    let after_credentials = rest.find('@').map_or(0, |at| at + 1) + (url.len() - rest.len());
    let (place, query) = match url[after_credentials..].split_once('?') {
        Some((_, query)) => (&url[..url.len() - query.len() - 1], query),
        None => (url, ""),
    };
    let (own, drivers): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| is_of_tls(pair));
    let mut config: Config = format!("{place}?{}", drivers.join("&")).parse()?;
    if config.get_hosts().is_empty() {
        return Err("the host is missing".into());
    }
    let tls = tls(&own, &mut config)?;
    Ok(Address { config, tls })
}

fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

fn is_of_tls(pair: &str) -> bool {
    matches!(name_of(pair), "sslmode" | "sslrootcert" | "sslcert" | "sslkey")
}

fn tls(pairs: &[&str], config: &mut Config) -> Result<Tls, BoxError> {
    // The last one counts, as in the driver.
    let given = |name: &str| pairs.iter().rev().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let file = |name: &str| -> Result<Option<PathBuf>, BoxError> {
        let Some(value) = given(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
        Ok(Some(decoded.map_err(|_| format!("{name} is not UTF-8"))?.into_owned().into()))
    };
    let root = file("sslrootcert")?;
    let (mode, verify) = match given("sslmode").unwrap_or("prefer") {
        "disable" => (SslMode::Disable, Verify::Nothing),
        "prefer" => (SslMode::Prefer, Verify::Nothing),
        // As in libpq, a root certificate implies its verification.
        "require" if root.is_none() => (SslMode::Require, Verify::Nothing),
        "require" | "verify-ca" => (SslMode::Require, Verify::Chain),
        "verify-full" => (SslMode::Require, Verify::ChainAndHost),
        _ => return Err("sslmode must be disable, prefer, require, verify-ca or verify-full".into()),
    };
    config.ssl_mode(mode);
    if mode == SslMode::Disable {
        return Ok(Tls::default());
    }
    Tls::new(verify, root.as_deref(), file("sslcert")?.as_deref(), file("sslkey")?.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(url: &str) -> String {
        let error = Address::parse(url).unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }

    #[test]
    fn malformed_url_never_shows_the_password() {
        for url in [
            "postgres://ann:hunter@2secret@host/db",
            "postgres://ann:hunter2secret",
            "postgres://ann:hunter/2secret@host@x/db",
            "postgres://ann:hunter2secret@host:port/db",
            "postgres://ann:hunter2secret@/db",
            "postgres://ann:hunter2secret@host/db?sslmode=hunter2secret",
            "postgres://ann:hunter2secret@host/db?connect_timeout=hunter2secret",
            "postgres://ann@host/db?hunter2secret",
            "ann:hunter2secret@host",
        ] {
            let message = message(url);
            assert!(!message.contains("hunter") && !message.contains("2secret"), "{url}: {message}");
        }
        assert!(message("postgres://ann:hunter@2secret@host/db").contains("%40"));
    }

    #[test]
    fn client_key_of_another_user_is_not_used() {
        let key = tempfile::NamedTempFile::new().unwrap();
        // Only root can change the owner of a file.
        if std::os::unix::fs::chown(key.path(), Some(54_321), None).is_err() {
            return;
        }
        let message = message(&format!("postgres://h/d?sslcert=/c.pem&sslkey={}", key.path().display()));
        assert!(message.contains("it belongs to another user"), "{message}");
    }

    #[test]
    fn ssl_parameters_are_read_as_libpq_reads_them() {
        let mode = |query: &str| {
            let address = Address::parse(&format!("postgres://u:p?w@h/d{query}")).unwrap();
            (address.config.get_ssl_mode(), address.tls.verify())
        };
        assert_eq!(mode(""), (SslMode::Prefer, Verify::Nothing));
        assert_eq!(mode("?sslmode=disable&sslrootcert=/nowhere"), (SslMode::Disable, Verify::Nothing));
        assert_eq!(mode("?connect_timeout=3&sslmode=require"), (SslMode::Require, Verify::Nothing));
        assert!(message("postgres://h/d?sslmode=verify-all").contains("verify-full"));
        assert!(message("postgres://h/d?sslmode=require&sslrootcert=%2Fnowhere").contains("/nowhere"));
        assert!(message("postgres://h/d?sslcert=/c.pem").contains("sslkey"));
    }
}
