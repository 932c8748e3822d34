//! `mito client tasks update-labels`.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;

use crate::cli::value_parsers;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn update_labels(
    uuid: Uuid,
    labels: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    identity
        .client
        .set_task_labels(uuid, &LabelsRequest { labels: value_parsers::non_empty(labels) })
        .await?;
    out.say(format_args!("changed the labels of {uuid}"));
    Ok(())
}
