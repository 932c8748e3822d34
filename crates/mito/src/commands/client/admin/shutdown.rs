//! `mito client admin shutdown`.

use crate::login::identity::{Identity, given_or_asked_secretly};
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn shutdown(secret: Option<&str>, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let secret = given_or_asked_secretly(secret, "shutdown secret: ")?;
    identity.client.shut_down_coordinator(&secret).await?;
    out.say(format_args!("the coordinator at {} stops", identity.client.client().address()));
    Ok(())
}
