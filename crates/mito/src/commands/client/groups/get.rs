//! `mito client groups get`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn get(group: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    out.one(&identity.client.group(group).await?)
}
