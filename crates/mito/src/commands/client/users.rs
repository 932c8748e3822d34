//! `mito client users`.

use secrecy::SecretString;

use crate::cli::client::{ChangePasswordArgs, UsersCommand};
use crate::config::client::ClientConfig;
use crate::credentials::CredentialsFile;
use crate::failure::Failure;
use crate::identity::{Identity, ask_secretly, keep};
use crate::show;

pub(super) async fn run(command: &UsersCommand, config: &ClientConfig) -> Result<(), Failure> {
    let identity = Identity::establish(config).await?;
    match command {
        UsersCommand::Groups => groups(&identity).await,
        UsersCommand::ChangePassword(args) => change_password(args, &identity, config).await,
    }
}

async fn groups(identity: &Identity) -> Result<(), Failure> {
    for (group, role) in identity.client.groups().await?.groups {
        show::line(format_args!("{group}\t{role:?}"))?;
    }
    Ok(())
}

async fn change_password(
    args: &ChangePasswordArgs,
    identity: &Identity,
    config: &ClientConfig,
) -> Result<(), Failure> {
    let old = given_or_asked(args.orig_password.as_ref(), "present password: ")?;
    let new = given_or_asked(args.new_password.as_ref(), "new password: ")?;
    let token = identity.client.change_password(&identity.name, &old, &new).await?;
    let file = CredentialsFile::at(config.credentials.clone());
    if file.exists() {
        keep(&file, &identity.name, &token)?;
    }
    eprintln!("the password of {} is changed; other sessions have to log in again", identity.name);
    Ok(())
}

fn given_or_asked(given: Option<&String>, question: &str) -> Result<SecretString, Failure> {
    match given {
        Some(given) => Ok(given.as_str().into()),
        None => ask_secretly(question),
    }
}
