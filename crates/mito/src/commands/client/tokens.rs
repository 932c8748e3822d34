//! `mito client tokens`.

use crate::cli::client::tokens::{CreateTokenArgs, TokensCommand};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, TokenMade};

pub(super) async fn run(command: &TokensCommand, identity: &Identity, out: &Output) -> Result<(), Failure> {
    match command {
        TokensCommand::Create(args) => create(args, identity, out).await,
        TokensCommand::List => out.all(&identity.client.tokens().await?.tokens),
        TokensCommand::Revoke { id } => {
            identity.client.revoke_token(*id).await?;
            out.say(format_args!("revoked token {id}"));
            Ok(())
        }
    }
}

/// Prints only the token, so that it can be piped without being displayed.
async fn create(args: &CreateTokenArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let made = identity.client.create_token(&args.request()).await?;
    let id = made.id;
    out.one_line(&TokenMade { id, name: args.name.clone(), token: made.token })?;
    out.say(format_args!(
        "created token {id} of {}; it is not shown again; `mito client tokens revoke {id}` revokes it",
        identity.name
    ));
    Ok(())
}
