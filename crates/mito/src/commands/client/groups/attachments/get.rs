//! `mito client groups attachments get`.

use super::path::AttachmentPath;
use crate::cli::client::attachments::PathArgs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{AttachmentAt, Output};

pub(super) async fn get(args: &PathArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let place = AttachmentPath::of_existing(args, &identity.name)?;
    let info = identity.client.attachment(&place.group, &place.key).await?;
    out.one(&AttachmentAt { key: place.key, group_name: place.group, info })
}
