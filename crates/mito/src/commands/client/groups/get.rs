//! `mito client groups get`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::Output;

pub(super) async fn get(group: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    out.one(&identity.client.group(group).await?)
}
