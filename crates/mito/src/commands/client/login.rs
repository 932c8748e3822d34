//! `mito client login`.

use secrecy::SecretString;

use super::session::Session;
use crate::cli::client::users::LoginArgs;
use crate::config::Origin;
use crate::login::credentials::CredentialsFile;
use crate::login::identity::{Identity, prompt, prompt_secret, store_token};
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn login(args: &LoginArgs, session: &mut Session<'_>, out: &Output) -> Result<(), Failure> {
    let config = &session.config;
    let client = config.client()?;
    if let Some(origin @ (Origin::File { .. } | Origin::Instance(_))) = &config.origin {
        out.say(format_args!("mito: logging in at {} (address from {origin})", client.address()));
    }
    let name = match args.username.as_ref().or(config.user.as_ref()) {
        Some(name) => name.clone(),
        None => prompt("user: ")?,
    };
    let password = match args.password.clone().map(SecretString::from).or_else(|| config.password.clone()) {
        Some(password) => password,
        None => prompt_secret(&format!("password of {name}: "))?,
    };
    let earlier = args.earlier_tokens().unwrap_or(config.earlier_tokens);
    let token = client.login(&name, &password, earlier).await?;
    let file = CredentialsFile::new(config.credentials.clone(), &config.address);
    store_token(&file, &name, &token)?;
    out.say(format_args!("logged in as {name}; the token is in {}", file.path().display()));
    if config.token.is_some() {
        out.say("mito: a token is configured (MITO_TOKEN, `token` or `token_path`), which takes precedence over this login");
    }
    session.become_user(Identity::new(name, client.with_user_token(token)));
    Ok(())
}
