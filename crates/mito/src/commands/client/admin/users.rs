//! `mito client admin users`.

use mitosis_client::{AccountKind, PersonalTokens};
use mitosis_protocol::admin::AccountState;

use crate::cli::client::admin::{AdminUsersCommand, CreateUserArgs, ResetPasswordArgs};
use crate::login::identity::{Identity, arg_or_prompt, arg_or_prompt_secret};
use crate::process::failure::Failure;
use crate::show::{GroupQuota, Output};

pub(super) async fn run(
    command: &AdminUsersCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        AdminUsersCommand::Create(args) => create(args, identity, out).await,
        AdminUsersCommand::Delete { username } => delete(username, identity, out).await,
        AdminUsersCommand::Lock { username } => set(username, AccountState::Locked, identity, out).await,
        AdminUsersCommand::Unlock { username } => set(username, AccountState::Active, identity, out).await,
        AdminUsersCommand::ChangePassword(args) => change_password(args, identity, out).await,
        AdminUsersCommand::GroupQuota { username, quota } => {
            group_quota(username, quota, identity, out).await
        }
    }
}

async fn create(args: &CreateUserArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let name = arg_or_prompt(args.username.as_deref(), "name of the new user: ")?;
    let password = arg_or_prompt_secret(args.password.as_deref(), "password of the new user: ")?;
    let kind = if args.admin { AccountKind::Administrator } else { AccountKind::User };
    identity.client.create_user(&name, &password, kind).await?;
    out.say(format_args!("created user {name}"));
    Ok(())
}

async fn delete(username: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let state = identity.client.delete_user(username).await?;
    out.say(format_args!("user {username} is {state:?}"));
    Ok(())
}

async fn set(username: &str, state: AccountState, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let state = identity.client.set_user_state(username, state).await?;
    out.say(format_args!("user {username} is {state:?}"));
    Ok(())
}

async fn change_password(args: &ResetPasswordArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let name = arg_or_prompt(args.username.as_deref(), "name of the user: ")?;
    let new = arg_or_prompt_secret(args.new_password.as_deref(), "new password: ")?;
    let tokens = if args.revoke_tokens { PersonalTokens::Revoke } else { PersonalTokens::Keep };
    identity.client.reset_password(&name, &new, tokens).await?;
    out.say(format_args!("changed the password of {name}; {name} has to log in again"));
    Ok(())
}

async fn group_quota(username: &str, quota: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let quota = identity.client.change_group_quota(username, quota).await?;
    let sentence = format!("user {username} may have {quota} groups");
    out.outcome(sentence, &GroupQuota { username: username.to_owned(), group_quota: quota })
}
