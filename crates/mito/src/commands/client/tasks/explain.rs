//! `mito client tasks explain`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

/// The coordinator's own words, so that they are the same wherever they are read.
pub(super) async fn explain(uuid: Uuid, identity: &Identity) -> Result<(), Failure> {
    let explanation = identity.client.explain_task(uuid).await?;
    show::line(format_args!("{:?}: {}", explanation.state, explanation.text))?;
    match explanation.hint {
        Some(hint) => show::line(format_args!("hint: {hint}")),
        None => Ok(()),
    }
}
