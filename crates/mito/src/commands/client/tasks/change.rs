//! `mito client tasks change`.

use crate::cli::client::tasks::ChangeArgs;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn change(args: &ChangeArgs, identity: &Identity) -> Result<(), Failure> {
    if args.ignores_something() {
        eprintln!("mito: --envs, --terminal and --watch belong to a command, so they change nothing here");
    }
    identity.client.change_task(args.uuid, &args.change()).await?;
    eprintln!("changed {}", args.uuid);
    Ok(())
}
