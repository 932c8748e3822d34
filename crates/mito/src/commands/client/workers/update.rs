//! `mito client workers update-tags` and `update-labels`.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;
use mitosis_protocol::worker::TagsRequest;

use crate::cli::value_parsers;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn tags(
    uuid: Uuid,
    tags: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    identity.client.set_worker_tags(uuid, &TagsRequest { tags: value_parsers::non_empty(tags) }).await?;
    out.say(format_args!("changed the tags of worker {uuid}"));
    Ok(())
}

pub(super) async fn labels(
    uuid: Uuid,
    labels: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    identity
        .client
        .set_worker_labels(uuid, &LabelsRequest { labels: value_parsers::non_empty(labels) })
        .await?;
    out.say(format_args!("changed the labels of worker {uuid}"));
    Ok(())
}
