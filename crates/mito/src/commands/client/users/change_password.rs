//! `mito client users change-password`.

use super::Session;
use crate::cli::client::users::ChangePasswordArgs;
use crate::login::credentials::CredentialsFile;
use crate::login::identity::{Identity, arg_or_prompt_secret, store_token};
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn change_password(
    args: &ChangePasswordArgs,
    session: &mut Session<'_>,
    out: &Output,
) -> Result<(), Failure> {
    let Identity { name, client, .. } = session.identity().await?;
    let old = arg_or_prompt_secret(args.orig_password.as_deref(), "current password: ")?;
    let new = arg_or_prompt_secret(args.new_password.as_deref(), "new password: ")?;
    let token = client.change_password(&name, &old, &new).await?;
    let file = CredentialsFile::new(session.config.credentials.clone(), &session.config.address);
    if file.exists() {
        store_token(&file, &name, &token)?;
    }
    out.say(format_args!("changed the password of {name}; other sessions have to log in again"));
    session.become_user(Identity::new(name, client.client().with_user_token(token)));
    Ok(())
}
