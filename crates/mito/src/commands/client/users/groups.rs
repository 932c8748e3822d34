//! `mito client users groups`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn groups(identity: &Identity) -> Result<(), Failure> {
    for (group, role) in identity.client.groups().await?.groups {
        show::line(format_args!("{group}\t{role:?}"))?;
    }
    Ok(())
}
