//! `mito client tasks get`.

use mitosis_domain::limits::TOO_MUCH_OUTPUT;
use mitosis_protocol::{TaskResultMessage, TaskState, Uuid};

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, TaskShown};
use crate::task_io::exit::TaskExit;

pub(super) async fn get(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let task = identity.client.task(uuid).await?;
    let (state, result) = (task.info.state, task.info.result);
    let outcome = TaskExit::from_info(&task.info);
    out.one(&TaskShown::from(task.info).with_artifacts(task.artifacts))?;
    // Earlier workers have no message for this reason, and for every other one.
    let is_limited =
        |msg: Option<TaskResultMessage>| msg.is_none_or(|msg| msg == TaskResultMessage::OutputLimit);
    if state == TaskState::Cancelled && result.is_some_and(|result| is_limited(result.msg)) {
        out.say(format_args!("mito: stopped {TOO_MUCH_OUTPUT}"));
    }
    say_missing_resources(uuid, outcome, identity, out).await;
    Ok(())
}

/// Prints the missing resources of a task that did not start for lack of them; its result does not name them.
pub(super) async fn say_missing_resources(
    uuid: Uuid,
    outcome: Option<TaskExit>,
    identity: &Identity,
    out: &Output,
) {
    let missing = |outcome: &TaskExit| outcome.result.msg == Some(TaskResultMessage::ResourceNotFound);
    if let Some(outcome) = outcome.filter(missing)
        && let (_, Some(word)) = outcome.describe(&identity.client, uuid).await
    {
        out.say(format_args!("mito: {word}"));
    }
}
