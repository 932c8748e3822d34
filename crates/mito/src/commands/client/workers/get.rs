//! `mito client workers get`.

use mitosis_protocol::Uuid;

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, WorkerShown};

pub(super) async fn get(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let worker = identity.client.worker(uuid).await?;
    out.one(&WorkerShown::with_groups(worker.info, worker.groups))
}
