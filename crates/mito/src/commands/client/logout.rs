//! `mito client logout`.

use super::session::Session;
use crate::cli::client::users::LogoutArgs;
use crate::login::credentials::CredentialsFile;
use crate::login::identity::configured_token;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Output;

/// Removes the stored token of the coordinator. The token itself stays valid until it expires, as a session is shared by
/// all tokens of a user; `--all` ends it.
pub(super) async fn logout(
    args: &LogoutArgs,
    session: &mut Session<'_>,
    out: &Output,
) -> Result<(), Failure> {
    let config = &session.config;
    if configured_token(config)?.is_some() {
        return Err(Failure::new(Exit::Usage, "a token is configured (MITO_TOKEN, `token` or `token_path`)")
            .with_hint("unset it, or revoke it with `mito client tokens revoke`"));
    }
    let client = config.client()?;
    let file = CredentialsFile::new(config.credentials.clone(), &config.address);
    let failed = |doing: &str, error| {
        Failure::io(format!("cannot {doing} the credentials in {}", file.path().display()), error)
    };
    let stored = file.find(config.user.as_deref()).map_err(|error| failed("read", error))?;
    let Some((name, token)) = stored else {
        return Err(Failure::new(Exit::Auth, format!("not logged in at {}", client.address())));
    };
    if args.all {
        client.with_user_token(token).end_sessions().await?;
    }
    file.remove(&name).map_err(|error| failed("change", error))?;
    session.forget_user();
    out.say(match args.all {
        true => format!("ended all sessions of {name} at {}", client.address()),
        false => format!("logged out: removed the token of {name} for {}", client.address()),
    });
    Ok(())
}
