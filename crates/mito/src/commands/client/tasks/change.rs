//! `mito client tasks change`.

use mitosis_protocol::Uuid;

use crate::cli::client::tasks::ChangeArgs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn change(
    uuid: Uuid,
    args: &ChangeArgs,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    if args.ignores_something() {
        out.say(format_args!("mito: --envs, --terminal and --watch have no effect without a command"));
    }
    identity.client.change_task(uuid, &args.change()).await?;
    out.say(format_args!("changed {uuid}"));
    Ok(())
}
