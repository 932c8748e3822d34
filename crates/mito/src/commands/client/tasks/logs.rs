//! `mito client tasks logs`: shows the output of a task on the same streams.

use mitosis_client::UserClient;
use mitosis_protocol::{TaskInfo, TaskState};

use crate::commands::client::session::Session;
use crate::commands::select;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::task_io::follow;
use crate::task_io::terminal_output::TerminalOutput;

/// The output is the result, so there are no formats, and the exit code is not that of the task.
pub(super) async fn logs(name: &str, follow: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let scratch = session.environment.cache_folder().join("follow");
    let (client, task) = match follow {
        true => find_and_reconnect(name, session).await?,
        false => {
            let client = session.identity().await?.client;
            let uuid = select::one(name, &client).await?;
            let task = client.task(uuid).await?;
            (client, task.info)
        }
    };
    let (client, uuid) = (&client, task.uuid);
    match (task.result, follow) {
        (Some(_), _) => match follow::show_stored(client, uuid, &scratch).await? {
            true => Ok(()),
            false => Err(nothing_kept(&task)),
        },
        (None, _) if !task.spec.terminal_output => Err(nothing_kept(&task)),
        (None, true) => {
            follow::follow(client, uuid, &scratch, &mut TerminalOutput::plain()).await.map(|_| ())
        }
        (None, false) if task.state == TaskState::Running => {
            follow::show_so_far(client, uuid, &scratch).await
        }
        (None, false) => {
            Err(Failure::new(Exit::Failure, format!("task {uuid} has not started: it is {:?}", task.state))
                .with_hint(
                    "follow its output with `-f`, or see why it waits with `mito client tasks explain`",
                ))
        }
    }
}

/// Requests the task; waits for an unreachable coordinator.
async fn find_and_reconnect(
    name: &str,
    session: &mut Session<'_>,
) -> Result<(UserClient, TaskInfo), Failure> {
    let mut reconnect = Reconnect::new();
    let client = session.identity_and_reconnect(&mut reconnect).await?.client;
    let look = async || client.task(select::resolve(name, &client).await?).await;
    let task = reconnect.retry(look, "try again later").await?.info;
    Ok((client, task))
}

fn nothing_kept(task: &TaskInfo) -> Failure {
    let uuid = task.uuid;
    match task.spec.terminal_output {
        true => Failure::new(Exit::NotFound, format!("no output of task {uuid} was kept")).with_hint(
            format!("it did not start, or its output was deleted; see `mito client tasks get {uuid}`"),
        ),
        false => Failure::new(Exit::NotFound, format!("the output of task {uuid} is not kept"))
            .with_hint("`mito submit` keeps the output of a task unless it gets `--no-output`; `mito client tasks submit` keeps it with `--terminal`"),
    }
}
