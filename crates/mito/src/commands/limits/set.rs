//! `mito limits set`: sets a limit.

use mitosis_sweep::retry_transient;

use super::of_group;
use crate::cli::limits::SetArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(args: &SetArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.of.output, environment);
    let (identity, group) = of_group(&args.of, environment).await?;
    retry_transient(|| identity.client.set_limit(&group, &args.name, args.value)).await?;
    out.say(format_args!("limit {} of group {group} is {}", args.name, args.value));
    Ok(())
}
