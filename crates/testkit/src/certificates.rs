//! A certificate authority for tests and its certificates: created with `openssl`, valid for two days.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SETTINGS: &str = "
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = @names
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
[names]
";

/// A certificate authority in its own directory.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Creates an authority.
    pub fn new() -> io::Result<Self> {
        let made = Self { folder: TempDir::new()? };
        fs::write(made.path("settings"), format!("{SETTINGS}DNS.1 = localhost\n"))?;
        made.make("ca", "ca", "Test authority", &[])?;
        Ok(made)
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Creates a certificate for a server with these names or addresses, and its key.
    pub fn server(&self, file: &str, hosts: &[&str]) -> io::Result<(PathBuf, PathBuf)> {
        let names: String = hosts
            .iter()
            .enumerate()
            .map(|(number, host)| match host.parse::<std::net::IpAddr>() {
                Ok(_) => format!("IP.{number} = {host}\n"),
                Err(_) => format!("DNS.{number} = {host}\n"),
            })
            .collect();
        fs::write(self.path("settings"), format!("{SETTINGS}{names}"))?;
        self.signed(file, "server", hosts.first().copied().unwrap_or("server"))
    }

    /// Creates a certificate for a client with this name, and its key.
    pub fn client(&self, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        self.signed(name, "client", name)
    }

    fn signed(&self, file: &str, kind: &str, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let (ca, key) = (self.path("ca.pem"), self.path("ca.key"));
        self.make(file, kind, name, &["-CA".as_ref(), &ca, "-CAkey".as_ref(), &key])?;
        Ok((self.path(&format!("{file}.pem")), self.path(&format!("{file}.key"))))
    }

    fn make(&self, file: &str, kind: &str, name: &str, signer: &[&Path]) -> io::Result<()> {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-extensions", kind, "-subj", &format!("/CN={name}")])
            .arg("-config")
            .arg(self.path("settings"))
            .arg("-keyout")
            .arg(self.path(&format!("{file}.key")))
            .arg("-out")
            .arg(self.path(&format!("{file}.pem")))
            .args(signer)
            .output()?;
        match made.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&made.stderr)))),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
