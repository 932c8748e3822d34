//! `mito client groups get`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn get(group: &str, identity: &Identity) -> Result<(), Failure> {
    show::line(show::group(&identity.client.group(group).await?))
}
