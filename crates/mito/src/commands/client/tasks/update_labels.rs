//! `mito client tasks update-labels`.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;

use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn update_labels(uuid: Uuid, labels: &[String], identity: &Identity) -> Result<(), Failure> {
    identity.client.set_task_labels(uuid, &LabelsRequest { labels: labels.to_vec() }).await?;
    eprintln!("changed the labels of {uuid}");
    Ok(())
}
