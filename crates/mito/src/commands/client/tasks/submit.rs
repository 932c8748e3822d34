//! `mito client tasks submit`.

use crate::cli::client::tasks::SubmitArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn submit(args: &SubmitArgs, identity: &Identity) -> Result<(), Failure> {
    let group = args.group.clone().unwrap_or_else(|| identity.name.clone());
    let submitted = identity.client.submit(&args.task(group.clone())).await?;
    // Scripts take the last word.
    show::line(format_args!("task {} of group {group}: {}", submitted.task_id, submitted.uuid))
}
