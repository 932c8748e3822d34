//! `mito client groups attachments query`.

use crate::cli::client::attachments::QueryArgs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{AttachmentAt, Output};

pub(super) async fn query(args: &QueryArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let query = args.query();
    let found = identity.client.query_attachments(group, &query).await?;
    if query.count {
        return out.count(found.count, "attachment");
    }
    out.found(found.count, "attachment")?;
    let shown = |row| AttachmentAt::found(row, &found.group_name);
    out.all(&found.attachments.into_iter().map(shown).collect::<Vec<_>>())
}
