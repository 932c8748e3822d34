//! `mito client groups write-priority`.

use crate::cli::value_parsers::PriorityBound;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn write_priority(
    group: &str,
    PriorityBound(most): PriorityBound,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    identity.client.set_write_priority(group, most).await?;
    match most {
        Some(most) => {
            out.say(format_args!("members of {group} with the role Write use priorities up to {most}"));
        }
        None => out.say(format_args!("members of {group} with the role Write use any priority")),
    }
    Ok(())
}
