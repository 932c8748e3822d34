//! The settings of clients (command line §3.3).

use std::path::PathBuf;

use mitosis_client::{Client, EarlierTokens};
use secrecy::SecretString;

use super::error::Origin;
use super::{Environment, Layers, keys};
use crate::login::credentials::is_same_coordinator;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The coordinator and the user of a client. Workers have the same settings.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) address: String,
    /// The origin of the address; none for the default.
    pub(crate) origin: Option<Origin>,
    /// Additional certificate authorities to trust.
    pub(crate) ca_cert: Option<PathBuf>,
    /// Why the configured credentials must not be sent to the address.
    wrong_address: Option<String>,
    pub(crate) credentials: PathBuf,
    /// The configured token. It has precedence over stored tokens and over a login.
    pub(crate) token: Option<ConfiguredToken>,
    pub(crate) user: Option<String>,
    /// The group of new tasks, instead of the user's own.
    pub(crate) group: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// What a login does with the user's other sessions.
    pub(crate) earlier_tokens: EarlierTokens,
}

/// The source of a configured token.
#[derive(Debug, Clone)]
pub(crate) enum ConfiguredToken {
    Inline(SecretString),
    /// The path of a file that contains only the token.
    File(PathBuf),
}

impl ClientConfig {
    pub(crate) fn new(layers: &Layers, environment: &Environment) -> Self {
        Self {
            address: layers.get_or_default(keys::COORDINATOR_ADDR),
            origin: layers.origin(keys::COORDINATOR_ADDR).cloned(),
            ca_cert: layers.get(keys::CA_CERT),
            wrong_address: wrong_address(layers),
            token: layers
                .get(keys::TOKEN)
                .map(ConfiguredToken::Inline)
                .or_else(|| layers.get(keys::TOKEN_PATH).map(ConfiguredToken::File)),
            credentials: layers
                .get(keys::CREDENTIAL_PATH)
                .unwrap_or_else(|| environment.config_folder().join("credentials")),
            user: layers.get(keys::USER),
            group: layers.get(keys::GROUP).filter(|group| !group.is_empty()),
            password: layers.get(keys::PASSWORD),
            earlier_tokens: match layers.get_or_default(keys::RETAIN) {
                true => EarlierTokens::Retain,
                false => EarlierTokens::End,
            },
        }
    }

    /// Creates a client. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let Some(why) = &self.wrong_address {
            return Err(Failure::new(Exit::Config, why.clone()).with_hint(
                "set the address and its credentials in the same place, or unset the one that is not intended",
            ));
        }
        let Some(path) = &self.ca_cert else { return Ok(Client::new(&self.address)?) };
        let authorities = std::fs::read(path).map_err(|error| Failure::unreadable(path, error))?;
        Ok(Client::trusting(&self.address, Some(&String::from_utf8_lossy(&authorities)))?)
    }

    /// The command prefix for hints, with the address if it has to be repeated.
    pub(crate) fn client_command(&self) -> String {
        match self.origin {
            Some(Origin::Option) => format!("mito client -c {}", self.address),
            _ => "mito client".to_owned(),
        }
    }
}

/// Credentials for one coordinator must not be sent to another:
///
/// - a token that is given with an address (in the same file, or in the environment) is for that address;
/// - a token or password that is given outside of files is not for an address that a file puts in place of
///   the one that was given with it.
fn wrong_address(layers: &Layers) -> Option<String> {
    let origin = layers.origin(keys::COORDINATOR_ADDR)?;
    let address = layers.get(keys::COORDINATOR_ADDR)?;
    let others =
        || layers.hidden(keys::COORDINATOR_ADDR).filter(|(other, _)| !is_same_coordinator(other, &address));
    for key in [keys::TOKEN.name(), keys::TOKEN_PATH.name(), keys::PASSWORD.name()] {
        let Some((_, given)) = layers.lookup(key) else { continue };
        if given.is_same_place(origin) {
            continue;
        }
        let is_token = key != keys::PASSWORD.name();
        let meant = others().find(|(_, other)| {
            let stands_beside = is_token && other.is_same_place(given);
            let is_replaced_by_file =
                given.is_outside_files() && other.is_outside_files() && !origin.is_outside_files();
            stands_beside || is_replaced_by_file
        });
        if let Some((meant, place)) = meant {
            return Some(format!(
                "`{key}` from {given} is for the coordinator at {} (from {place}), and is not sent to {} (from {origin})",
                shown(meant),
                shown(&address)
            ));
        }
    }
    None
}

/// An address without secrets.
fn shown(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Role};
    use super::*;

    /// The outcome for an address from each source, with a secret from one of them.
    fn refusal(file: &str, variables: &[(&str, &str)], option: Option<&str>) -> Option<String> {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.toml");
        std::fs::write(&config, file).unwrap();
        let mut environment = Environment::from([("HOME", home.path().to_str().unwrap())]);
        for (name, value) in variables {
            environment.set(name, value);
        }
        let option = option.map(str::to_owned);
        let options = Options::default().set(keys::COORDINATOR_ADDR, option);
        let layers = Layers::load(Role::Client, Some(&config), options, &environment).unwrap();
        ClientConfig::new(&layers, &environment).client().err().map(|failure| failure.to_string())
    }

    const TOKEN: (&str, &str) = ("MITO_TOKEN", "mito_pat_secret");
    const PASSWORD: (&str, &str) = ("MITO_PASSWORD", "secret");
    const HERE: (&str, &str) = ("MITO_COORDINATOR_ADDR", "http://here:5000");

    #[test]
    fn token_is_sent_only_to_its_coordinator() {
        let global = "[global]\ncoordinator_addr = 'http://there:5000'";
        for secret in [TOKEN, PASSWORD] {
            let why = refusal(global, &[secret, HERE], None).unwrap();
            assert!(why.contains("http://there:5000") && why.contains("config.toml"), "{why}");
            assert!(!why.contains("secret"), "{why}");
            assert!(refusal(global, &[secret], Some("http://here:5000")).is_some());
            // Only one address is set.
            assert_eq!(refusal(global, &[secret], None), None);
            assert_eq!(
                refusal(global, &[secret, ("MITO_COORDINATOR_ADDR", "http://there:5000/")], None),
                None
            );
        }
        let with_token = "[client]\ncoordinator_addr = 'http://there:5000'\ntoken = 'mito_pat_secret'";
        assert_eq!(refusal(with_token, &[], None), None);
        assert!(refusal(with_token, &[HERE], None).is_some());
        assert!(refusal(with_token, &[], Some("http://here:5000")).is_some());
        assert_eq!(refusal(with_token, &[TOKEN, HERE], None), None);
    }

    #[test]
    fn password_follows_the_address_on_the_command_line() {
        assert_eq!(refusal("", &[PASSWORD, HERE], Some("http://there:5000")), None);
        assert!(refusal("", &[TOKEN, HERE], Some("http://there:5000")).is_some());
    }
}
