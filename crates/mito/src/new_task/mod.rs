//! Makes the task of `mito run` and `mito submit`: its command or script, directory, variables and input.

pub(crate) mod directory;
pub(crate) mod folders;
pub(crate) mod standard_input;
mod variables;

use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_sweep::{Script, Upload, add_input, add_upload};

use crate::cli::task::TaskArgs;
use crate::config::Environment;
use crate::process::failure::Failure;

/// What a task runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program<'a> {
    /// A program of the worker, and its arguments.
    Command(&'a [String]),
    /// A script that is sent along, and its arguments.
    Script(&'a Script, &'a [String]),
}

/// The task of a command line, and the files that have to be uploaded before. Its group is empty unless an option has one.
/// With parameters, `is_plain` is false, and braces are placeholders.
pub(crate) fn task(
    args: &TaskArgs,
    program: Program<'_>,
    is_plain: bool,
    environment: &Environment,
) -> Result<(SubmitTaskRequest, Vec<Upload>), Failure> {
    let mut task = args.task();
    match program {
        Program::Command(words) => task.task_spec.args = words.to_vec(),
        Program::Script(script, arguments) => script.add_to(&mut task.task_spec, arguments, is_plain)?,
    }
    task.task_spec.envs = variables::variables(&args.variables, is_plain, environment)?;
    task.task_spec.secrets = args.variables.secrets.iter().cloned().collect();
    task.task_spec.directory = directory::of_task(&args.place, environment)?;
    let mut uploads = Vec::new();
    for path in &args.upload {
        uploads.extend(add_upload(&mut task, path, is_plain)?);
    }
    if let Some(file) = &args.place.stdin {
        uploads.extend(add_input(&mut task, file, is_plain)?);
    }
    Ok((task, uploads))
}
