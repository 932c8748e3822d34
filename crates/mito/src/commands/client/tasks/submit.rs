//! `mito client tasks submit`.

use crate::cli::client::tasks::SubmitArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::{Output, Submitted};

pub(super) async fn submit(args: &SubmitArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let group = args.group.clone().unwrap_or_else(|| identity.name.clone());
    let submitted = identity.client.submit(&args.task(group.clone())).await?;
    out.one_line(&Submitted::taken(&group, submitted))
}
