//! Becoming somebody: a kept token if it still works, else a login (command line §7).

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use mitosis_client::{Client, ClientError, UserClient};
use mitosis_worker::Login;
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::cli::connection::ConnectionArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::credentials::CredentialsFile;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long to wait for a coordinator before asking it again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A user, and a connection as that user.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) client: UserClient,
}

impl Identity {
    /// As [`Self::establish`], waiting for a coordinator that is away: workers may be started first.
    pub(crate) async fn establish_patiently(config: &ClientConfig) -> Result<Self, Failure> {
        loop {
            match Self::establish(config).await {
                Err(failure) if matches!(failure.exit(), Exit::Network | Exit::Fault) => {
                    tracing::warn!("{failure}; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// As [`Self::establish`], with what options and configuration say.
    pub(crate) async fn of_options(
        args: &ConnectionArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let layers = Layers::load(Role::Client, args.config.as_deref(), args.options(), environment)?;
        Self::establish(&ClientConfig::new(&layers, environment)).await
    }

    /// Uses the kept token, or logs in with what the configuration says and the terminal answers.
    pub(crate) async fn establish(config: &ClientConfig) -> Result<Self, Failure> {
        let client = Client::new(&config.address)?;
        let file = CredentialsFile::at(config.credentials.clone());
        if let Some(known) = known(&client, &file, config.user.as_deref()).await? {
            return Ok(known);
        }
        let name = match &config.user {
            Some(name) => name.clone(),
            None => ask("user: ")?,
        };
        let password = match &config.password {
            Some(password) => password.clone(),
            None => ask_secretly(&format!("password of {name}: "))?,
        };
        let token = client.login(&name, &password, config.retain).await?;
        keep(&file, &name, &token)?;
        Ok(Self { client: client.with_user_token(token), name })
    }
}

/// The identity behind a kept token, if the coordinator still takes it.
async fn known(
    client: &Client,
    file: &CredentialsFile,
    user: Option<&str>,
) -> Result<Option<Identity>, Failure> {
    let Some((name, token)) = read(file, user)? else { return Ok(None) };
    let client = client.with_user_token(token);
    match client.auth().await {
        Ok(answer) if answer == name => Ok(Some(Identity { name, client })),
        Err(error) if error.is_transient() => Err(error.into()),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn read(file: &CredentialsFile, user: Option<&str>) -> Result<Option<(String, SecretString)>, Failure> {
    file.find(user).map_err(|error| {
        Failure::io(format!("can't read the credentials in {}", file.path().display()), error)
    })
}

/// Keeps a token for the next command.
pub(crate) fn keep(file: &CredentialsFile, user: &str, token: &SecretString) -> Result<(), Failure> {
    file.keep(user, token).map_err(|error| {
        Failure::io(format!("can't keep the credentials in {}", file.path().display()), error)
    })
}

/// Asks for a line on the terminal.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    on_a_terminal()?;
    let mut answer = String::new();
    let asked = io::stderr().write_all(question.as_bytes()).and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|error| Failure::io("can't ask on the terminal", error))?;
    match answer.trim() {
        "" => Err(Failure::new(Exit::Usage, "nothing was answered")),
        answer => Ok(answer.to_owned()),
    }
}

/// Asks without showing what is typed.
pub(crate) fn ask_secretly(question: &str) -> Result<SecretString, Failure> {
    on_a_terminal()?;
    rpassword::prompt_password(question)
        .map(SecretString::from)
        .map_err(|error| Failure::io("can't ask on the terminal", error))
}

/// A name from the command line, or from the terminal.
pub(crate) fn given_or_asked(given: Option<&str>, question: &str) -> Result<String, Failure> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => askable(question).and_then(|()| ask(question)),
    }
}

/// A secret from the command line, or from the terminal.
pub(crate) fn given_or_asked_secretly(given: Option<&str>, question: &str) -> Result<SecretString, Failure> {
    match given {
        Some(given) => Ok(given.into()),
        None => askable(question).and_then(|()| ask_secretly(question)),
    }
}

fn askable(question: &str) -> Result<(), Failure> {
    let what = question.trim_end_matches([':', ' ']);
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Usage,
            format!("the {what} was not given, and there is no terminal to ask for it"),
        )
        .with_hint("run the command in a terminal, or give what it asks for as an argument")),
    }
}

fn on_a_terminal() -> Result<(), Failure> {
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => {
            Err(Failure::new(Exit::Auth, "not logged in, and there is no terminal to ask for a password")
                .with_hint(
                    "run `mito client login` first, or set MITO_USER and MITO_PASSWORD; beside `mito dev`, \
                     paste the line that it prints",
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
        let client = current.client.client().clone();
        let token = client.login(&current.name, password, self.config.retain).await?;
        let file = CredentialsFile::at(self.config.credentials.clone());
        if let Err(error) = file.keep(&current.name, &token) {
            tracing::warn!(%error, "the new token can't be kept for the next start");
        }
        current.client = client.with_user_token(token);
        Ok(current.client.clone())
    }
}
