//! `mito client tasks logs`: what a task wrote, on the same streams.

use mitosis_protocol::{TaskInfo, Uuid};

use crate::config::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow;
use crate::identity::Identity;

/// The output itself is the result, so there is no other form of it, and the code of the task is not that of
/// the command.
pub(super) async fn logs(
    uuid: Uuid,
    follow: bool,
    identity: &Identity,
    environment: &Environment,
) -> Result<(), Failure> {
    let client = &identity.client;
    let task = client.task(uuid).await?.info;
    let scratch = environment.cache_folder().join("follow");
    match (task.result, follow) {
        (Some(_), _) => match follow::show_kept(client, uuid, &scratch).await? {
            true => Ok(()),
            false => Err(nothing_kept(&task)),
        },
        (None, _) if !task.spec.terminal_output => Err(nothing_kept(&task)),
        (None, true) => follow::follow(client, uuid, &scratch).await.map(|_| ()),
        (None, false) => {
            Err(Failure::new(Exit::Failure, format!("task {uuid} is not over: it is {:?}", task.state))
                .with_hint("see what it writes with `-f`, or why it waits with `mito client tasks explain`"))
        }
    }
}

fn nothing_kept(task: &TaskInfo) -> Failure {
    let uuid = task.uuid;
    match task.spec.terminal_output {
        true => Failure::new(Exit::NotFound, format!("no output of task {uuid} was kept")).with_hint(
            format!("it did not get so far, or its output was deleted; see `mito client tasks get {uuid}`"),
        ),
        false => Failure::new(Exit::NotFound, format!("what task {uuid} writes is not kept"))
            .with_hint("submit a task with `--terminal` to see what it writes"),
    }
}
