//! `mito client tasks submit-many`.

use std::io::{self, Read as _};
use std::path::Path;

use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};

use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::{Output, Submitted, pluralized};

pub(super) async fn submit_many(file: &Path, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let tasks = read(file)?;
    let groups: Vec<String> = tasks.iter().map(|task| task.group_name.clone()).collect();
    let reply = identity.client.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await?;
    let mut refused = 0;
    let mut rows = out.rows();
    for (outcome, group) in reply.results.iter().zip(&groups) {
        match outcome {
            SubmitOutcome::Ok(task) => rows.push(&Submitted::taken(group, *task))?,
            SubmitOutcome::Err(error) => {
                refused += 1;
                rows.push(&Submitted::refused(group, &error.msg))?;
            }
        }
    }
    rows.finish()?;
    let taken = reply.results.len() - refused;
    match refused {
        0 => {
            out.say(format_args!("submitted {}", pluralized(taken as u64, "task")));
            Ok(())
        }
        _ => Err(Failure::new(
            Exit::Partial,
            format!("submitted {}, {refused} were refused", pluralized(taken as u64, "task")),
        )
        .with_hint("submit the refused ones again, and only those: the others will run")),
    }
}

fn read(file: &Path) -> Result<Vec<SubmitTaskRequest>, Failure> {
    let cant_read = |error| Failure::unreadable(file, error);
    let text = match file == Path::new("-") {
        true => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    serde_json::from_str(&text.map_err(cant_read)?).map_err(|error| {
        Failure::new(Exit::Failure, format!("invalid list of tasks {}: {error}", file.display())).with_hint(
            r#"each looks like {"group_name":"ann","tags":[],"labels":[],"timeout":"10min","priority":0,"task_spec":{"args":["true"]}}"#,
        )
    })
}
