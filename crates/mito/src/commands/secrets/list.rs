//! `mito secrets list`: lists the secrets of a group.

use mitosis_sweep::retry_transient;

use super::of_group;
use crate::cli::secrets::OfGroup;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(of: &OfGroup, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&of.output, environment);
    let (identity, group) = of_group(of, environment).await?;
    let found = retry_transient(|| identity.client.secrets(&group)).await?;
    out.all(&found.secrets)
}
