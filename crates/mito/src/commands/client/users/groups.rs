//! `mito client users groups`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Membership, Output};

pub(super) async fn groups(identity: &Identity, out: &Output) -> Result<(), Failure> {
    let groups = identity.client.groups().await?.groups;
    let member = |(group_name, role)| Membership { group_name, role };
    out.all(&groups.into_iter().map(member).collect::<Vec<_>>())
}
