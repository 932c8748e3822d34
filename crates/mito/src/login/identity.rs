//! Authentication: reuses a stored token, otherwise logs in (command line §7).

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use mitosis_client::{Client, ClientError, UserClient};
use mitosis_sweep::Submitter;
use mitosis_worker::Login;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cli::connection::ConnectionArgs;
use crate::config::client::{ClientConfig, ConfiguredToken};
use crate::config::{Environment, Layers, Origin, Role, read_secret};
use crate::login::credentials::CredentialsFile;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The pause between attempts to reach a coordinator.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// The interval of messages about an unreachable coordinator.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A user, and a client with the user's token.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// The group of new tasks without another one.
    pub(crate) group: String,
    pub(crate) client: UserClient,
}

impl Identity {
    /// A user whose new tasks belong to the user's own group.
    pub(crate) fn new(name: String, client: UserClient) -> Self {
        Self { group: name.clone(), name, client }
    }

    fn with_group(self, group: Option<&String>) -> Self {
        match group {
            Some(group) => Self { group: group.clone(), ..self },
            None => self,
        }
    }

    /// Like [`Self::establish`], but waits for an unreachable coordinator: workers may start first.
    pub(crate) async fn establish_with_retry(config: &ClientConfig) -> Result<Self, Failure> {
        let mut next_log = Instant::now();
        loop {
            match Self::establish(config).await {
                Err(failure) if matches!(failure.exit(), Exit::Network | Exit::Fault) => {
                    if Instant::now() >= next_log {
                        tracing::warn!("{}; retrying until it answers", failure.in_one_line());
                        next_log = Instant::now() + LOG_INTERVAL;
                    }
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Like [`Self::establish`], but waits for an unreachable coordinator, for a command that waits.
    pub(crate) async fn establish_and_reconnect(
        config: &ClientConfig,
        reconnect: &mut Reconnect,
    ) -> Result<Self, Failure> {
        loop {
            match Self::establish(config).await {
                Err(failure) if matches!(failure.exit(), Exit::Network | Exit::Fault | Exit::Later) => {
                    reconnect.pause_after(failure).await?;
                }
                outcome => {
                    reconnect.reset();
                    return outcome;
                }
            }
        }
    }

    /// Like [`Self::establish`], with the configuration of the options.
    pub(crate) async fn from_options(
        args: &ConnectionArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let layers = Layers::load(Role::Client, args.config.as_deref(), args.options(), environment)?;
        Self::establish(&ClientConfig::new(&layers, environment)).await
    }

    /// The submitter of tasks.
    pub(crate) fn submitter(&self) -> Submitter {
        Submitter { address: self.client.client().address().to_owned(), user: self.name.clone() }
    }

    /// Uses a stored token, or logs in with the configured password or a prompt.
    pub(crate) async fn establish(config: &ClientConfig) -> Result<Self, Failure> {
        Ok(Self::log_in(config).await?.with_group(config.group.as_ref()))
    }

    async fn log_in(config: &ClientConfig) -> Result<Self, Failure> {
        let client = config.client()?;
        if let Some(token) = configured_token(config)? {
            return with_configured_token(&client, token, config).await;
        }
        let file = CredentialsFile::new(config.credentials.clone(), &config.address);
        let refused = match try_stored_tokens(&client, &file, config.user.as_deref()).await {
            Ok(StoredToken::Accepted(identity)) => return Ok(identity),
            Ok(StoredToken::Rejected(identity)) => Some(identity),
            Ok(StoredToken::Missing) => None,
            Err(failure) => return Err(with_address_hint(failure, config)),
        };
        if config.user.is_none() || config.password.is_none() {
            // Check reachability before prompting for a password.
            client.check_address().await.map_err(|error| with_address_hint(error.into(), config))?;
            let name = refused.as_ref().map(|identity| identity.name.as_str());
            announce_login(&client, name, config)?;
        }
        let name = match &config.user {
            Some(name) => name.clone(),
            None => prompt("user: ")?,
        };
        let password = match &config.password {
            Some(password) => password.clone(),
            None => prompt_secret(&format!("password of {name}: "))?,
        };
        let outcome = match refused.filter(|earlier| earlier.name == name) {
            Some(earlier) => earlier.client.log_in_again(&name, &password, config.earlier_tokens).await,
            None => client.login(&name, &password, config.earlier_tokens).await,
        };
        let token = outcome.map_err(|error| with_address_hint(error.into(), config))?;
        if let Err(failure) = store_token(&file, &name, &token) {
            // The login is valid, but the next command has to log in again.
            note!("{failure}");
        }
        Ok(Self::new(name, client.with_user_token(token)))
    }
}

/// Prints the coordinator and the reason before a login. Fails without a terminal.
fn announce_login(client: &Client, refused: Option<&str>, config: &ClientConfig) -> Result<(), Failure> {
    let address = client.address();
    let origin = match &config.origin {
        Some(origin @ (Origin::File { .. } | Origin::Instance(_))) => format!(" (from {origin})"),
        _ => String::new(),
    };
    let sentence = match refused {
        Some(name) => format!("the stored token of `{name}` is no longer valid at {address}{origin}"),
        None => format!("not logged in at {address}{origin}"),
    };
    if io::stdin().is_terminal() {
        note!("mito: {sentence}");
        return Ok(());
    }
    let login = login_command(config);
    let hint = match refused {
        Some(_) => format!(
            "run `{login}` again, or set MITO_USER and MITO_PASSWORD, or MITO_TOKEN; a login with `--no-retain` \
             ends the user's other sessions"
        ),
        None => format!(
            "run `{login}` first, or set MITO_USER and MITO_PASSWORD, or MITO_TOKEN; for another \
             coordinator, set MITO_COORDINATOR_ADDR or use -c; for a system on this machine, start `mito dev`"
        ),
    };
    Err(Failure::new(Exit::Auth, format!("{sentence}, and there is no terminal to prompt for a password"))
        .with_hint(hint))
}

/// The login command with the options that have to be repeated.
fn login_command(config: &ClientConfig) -> String {
    let name = config.user.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    match config.origin {
        Some(Origin::Option) => format!("mito login{name} -c {}", config.address),
        _ => format!("mito login{name}"),
    }
}

/// The token from the configuration or the environment.
pub(crate) fn configured_token(config: &ClientConfig) -> Result<Option<SecretString>, Failure> {
    let text = match &config.token {
        None => return Ok(None),
        Some(ConfiguredToken::Inline(token)) => token.clone(),
        Some(ConfiguredToken::File(path)) => {
            read_secret(path).map(SecretString::from).map_err(|error| Failure::unreadable(path, error))?
        }
    };
    let token = text.expose_secret().trim();
    // The token becomes a line of a request.
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(token.into())),
        false => {
            Err(Failure::new(Exit::Config, "the value of MITO_TOKEN, `token` or `token_path` is not a token")
                .with_hint("create one with `mito client tokens create NAME`; it begins with mito_pat_"))
        }
    }
}

/// A configured token is never replaced by a password prompt.
async fn with_configured_token(
    client: &Client,
    token: SecretString,
    config: &ClientConfig,
) -> Result<Identity, Failure> {
    let client = client.with_user_token(token);
    let name = match client.auth().await {
        Ok(name) => name,
        Err(error) if error.status() == Some(401) => {
            let address = client.client().address();
            return Err(Failure::new(
                Exit::Auth,
                format!("the token from MITO_TOKEN, `token` or `token_path` is not valid at {address}"),
            )
            .with_hint(
                "it expired, was revoked, or belongs to another coordinator; `mito client tokens list` shows yours; \
                 unset it to log in with a password",
            ));
        }
        Err(error) => return Err(with_address_hint(error.into(), config)),
    };
    match &config.user {
        Some(user) if *user != name => Err(Failure::new(
            Exit::Auth,
            format!(
                "the token from MITO_TOKEN, `token` or `token_path` belongs to `{name}`, not to `{user}`"
            ),
        )
        .with_hint("omit the user, or unset the token to log in with a password")),
        _ => Ok(Identity::new(name, client)),
    }
}

/// Adds the origin of the address to a connection error.
fn with_address_hint(failure: Failure, config: &ClientConfig) -> Failure {
    if failure.exit() != Exit::Network {
        return failure;
    }
    match &config.origin {
        Some(origin @ (Origin::File { .. } | Origin::Instance(_))) => {
            failure.and_hint(&format!("the address is from {origin}"))
        }
        Some(_) => failure,
        None => failure.with_hint(
            "no address was given, so the default was tried: use -c, or set MITO_COORDINATOR_ADDR; to run \
             everything on this machine, start `mito dev` in another terminal, or `mito dev --detach`",
        ),
    }
}

/// Asks the coordinator about a stored token.
enum StoredToken {
    Missing,
    Accepted(Identity),
    /// The coordinator rejects it, or knows it as another user's.
    Rejected(Identity),
}

async fn try_stored_tokens(
    client: &Client,
    file: &CredentialsFile,
    user: Option<&str>,
) -> Result<StoredToken, Failure> {
    let candidates = file.candidates(user).map_err(|error| {
        Failure::io(format!("cannot read the credentials in {}", file.path().display()), error)
    })?;
    let mut refused = StoredToken::Missing;
    for (name, token) in candidates {
        let client = client.with_user_token(token);
        match client.auth().await {
            Ok(answer) if answer == name => return Ok(StoredToken::Accepted(Identity::new(name, client))),
            Err(error) if error.is_transient() => return Err(error.into()),
            Ok(_) | Err(_) => refused = StoredToken::Rejected(Identity::new(name, client)),
        }
    }
    Ok(refused)
}

/// Keeps a token for the next command.
pub(crate) fn store_token(file: &CredentialsFile, user: &str, token: &SecretString) -> Result<(), Failure> {
    file.store(user, token).map_err(|error| {
        Failure::io(format!("cannot store the credentials in {}", file.path().display()), error)
    })
}

/// Asks for a line on the terminal.
pub(crate) fn prompt(question: &str) -> Result<String, Failure> {
    require_terminal_for_login()?;
    let mut answer = String::new();
    let asked = io::stderr().write_all(question.as_bytes()).and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|error| Failure::io("cannot prompt on the terminal", error))?;
    match answer.trim() {
        "" => Err(Failure::new(Exit::Usage, "no answer was given")),
        answer => Ok(answer.to_owned()),
    }
}

/// Asks without showing what is typed.
pub(crate) fn prompt_secret(question: &str) -> Result<SecretString, Failure> {
    require_terminal_for_login()?;
    rpassword::prompt_password(question)
        .map(SecretString::from)
        .map_err(|error| Failure::io("cannot prompt on the terminal", error))
}

/// A name from the command line, or from the terminal.
pub(crate) fn arg_or_prompt(given: Option<&str>, question: &str) -> Result<String, Failure> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => require_terminal_for(question).and_then(|()| prompt(question)),
    }
}

/// A secret from the command line, or from the terminal.
pub(crate) fn arg_or_prompt_secret(given: Option<&str>, question: &str) -> Result<SecretString, Failure> {
    match given {
        Some(given) => Ok(given.into()),
        None => require_terminal_for(question).and_then(|()| prompt_secret(question)),
    }
}

fn require_terminal_for(question: &str) -> Result<(), Failure> {
    let what = question.trim_end_matches([':', ' ']);
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Usage, format!("missing {what}, and no terminal to prompt for it"))
            .with_hint("run the command in a terminal, or pass the value as an argument")),
    }
}

fn require_terminal_for_login() -> Result<(), Failure> {
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => {
            Err(Failure::new(Exit::Auth, "not logged in, and there is no terminal to prompt for a password")
                .with_hint(
                    "run `mito login` first, or set MITO_USER and MITO_PASSWORD; for a system on this \
                     machine, start `mito dev`",
                ))
        }
    }
}

/// How a worker logs in: with the token it was started with for as long as that works, then with the
/// password if there is one.
pub(crate) struct WorkerLogin {
    config: ClientConfig,
    current: Mutex<Identity>,
}

impl WorkerLogin {
    pub(crate) fn new(config: ClientConfig, current: Identity) -> Self {
        Self { config, current: Mutex::new(current) }
    }
}

#[async_trait]
impl Login for WorkerLogin {
    async fn log_in(&self) -> Result<UserClient, ClientError> {
        let mut current = self.current.lock().await;
        match (current.client.auth().await, &self.config.password) {
            (Ok(_), _) => return Ok(current.client.clone()),
            (Err(error), Some(_)) if error.status() == Some(401) => {}
            (Err(error), _) => return Err(error),
        }
        let password = self.config.password.as_ref().expect("checked a moment ago");
        let token = current.client.log_in_again(&current.name, password, self.config.earlier_tokens).await?;
        let file = CredentialsFile::new(self.config.credentials.clone(), &self.config.address);
        if let Err(error) = file.store(&current.name, &token) {
            tracing::warn!(%error, "cannot store the new token for the next start");
        }
        current.client = current.client.client().with_user_token(token);
        Ok(current.client.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, keys};

    #[test]
    fn default_address_is_mentioned_after_a_network_error() {
        let environment = Environment::from([("HOME", "/home/ann")]);
        let config = |is_guessed: bool| {
            let address = (!is_guessed).then(|| "http://127.0.0.1:5000".to_owned());
            let options = Options::default().set(keys::COORDINATOR_ADDR, address);
            let layers = Layers::load(Role::Client, None, options, &environment).unwrap();
            ClientConfig::new(&layers, &environment)
        };
        let message =
            |is_guessed, exit| with_address_hint(Failure::new(exit, "no"), &config(is_guessed)).to_string();
        assert!(message(true, Exit::Network).contains("mito dev"));
        assert!(!message(false, Exit::Network).contains("hint"));
        assert!(!message(true, Exit::Auth).contains("hint"));
    }
}
