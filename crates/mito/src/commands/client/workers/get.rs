//! `mito client workers get`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::{Output, WorkerShown};

pub(super) async fn get(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let worker = identity.client.worker(uuid).await?;
    out.one(&WorkerShown::with_groups(worker.info, worker.groups))
}
