//! `mito client groups notify-key`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn notify_key(
    group: &str,
    replace: bool,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let key = match replace {
        true => identity.client.replace_notify_key(group).await?,
        false => identity.client.notify_key(group).await?,
    };
    out.one_line(&key)
}
