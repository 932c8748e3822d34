//! `mito secrets remove`: removes a secret.

use super::of_group;
use crate::cli::secrets::RemoveArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(args: &RemoveArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.of.output, environment);
    let (identity, group) = of_group(&args.of, environment).await?;
    identity.client.remove_secret(&group, &args.name).await?;
    out.say(format_args!("removed secret {} of group {group}", args.name));
    Ok(())
}
