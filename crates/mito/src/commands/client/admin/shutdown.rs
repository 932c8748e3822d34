//! `mito client admin shutdown`.

use crate::login::identity::{Identity, arg_or_prompt_secret};
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn shutdown(secret: Option<&str>, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let secret = arg_or_prompt_secret(secret, "shutdown secret: ")?;
    identity.client.shut_down_coordinator(&secret).await?;
    out.say(format_args!("the coordinator at {} is stopping", identity.client.client().address()));
    Ok(())
}
