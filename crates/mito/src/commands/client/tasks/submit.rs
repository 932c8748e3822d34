//! `mito client tasks submit`.

use super::wait::{self, WaitSet, WaitUntil};
use crate::cli::client::tasks::SubmitArgs;
use crate::commands::client::Next;
use crate::commands::select::TaskSelection;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::{Output, Submitted};
use crate::task_io::follow::{self, LogPart};
use crate::task_io::terminal_output::TerminalOutput;

pub(super) async fn submit(
    args: &SubmitArgs,
    identity: &Identity,
    environment: &Environment,
    out: &Output,
) -> Result<Next, Failure> {
    let group = args.group.clone().unwrap_or_else(|| identity.name.clone());
    if args.wait || args.follow {
        // Before the submission, as the task could not be followed otherwise.
        identity.client.require("`--wait` or `--follow`").await?;
    }
    let submitted = identity.client.submit(&args.task(group.clone())).await?;
    let uuid = submitted.uuid;
    if !args.wait && !args.follow {
        out.one_line(&Submitted::taken(&group, submitted))?;
        return Ok(Next::Continue);
    }
    // The result is the output of the task, or its end.
    out.say(format_args!("task {} of group {group}: {uuid}", submitted.task_id));
    let mut waiting = WaitSet::for_one(wait::submitted_event(&group, submitted));
    let until_ended = async {
        match args.follow {
            true => {
                let scratch = environment.cache_folder().join("follow");
                let mut streams = TerminalOutput::plain().quiet(out.is_quiet());
                let outcome =
                    follow::follow(&identity.client, uuid, LogPart::default(), &scratch, &mut streams)
                        .await?;
                waiting.ended(uuid, outcome.clone());
                if let (_, Some(word)) = outcome.describe(&identity.client, uuid).await {
                    note!("mito: {word}");
                }
                Ok(())
            }
            false => {
                let selection = TaskSelection::one(uuid);
                let reconnect = Reconnect::within(args.wait_timeout);
                wait::wait_until(&selection, identity, &mut waiting, WaitUntil::AllEnded, reconnect, out)
                    .await
            }
        }
    };
    let outcome = match args.wait_timeout {
        Some(limit) => tokio::time::timeout(limit, until_ended).await.ok(),
        None => Some(until_ended.await),
    };
    match outcome {
        Some(outcome) => outcome?,
        None => {
            let limit = args.wait_timeout.unwrap_or_default();
            return Err(wait::timed_out(&waiting, &identity.client, limit).await);
        }
    }
    waiting.verdict()
}
