//! `mito client tasks get`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::{Output, TaskShown};

pub(super) async fn get(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let task = identity.client.task(uuid).await?;
    out.one(&TaskShown::from(task.info).with_artifacts(task.artifacts))
}
