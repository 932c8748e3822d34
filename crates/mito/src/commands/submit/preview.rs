//! Shows the tasks of `mito submit --dry-run`.

use std::fmt::{self, Display};

use mitosis_blueprint::Expansion;
use mitosis_domain::explain::placement::describe_request;
use mitosis_protocol::duration;
use mitosis_protocol::job::NeedKind;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest, TaskDirectory};
use mitosis_sweep::Step;

use crate::process::failure::Failure;
use crate::show;
use crate::show::directory_text;
use crate::show::text::{shell_word, shell_words};

/// The number of example tasks.
const FIRST: usize = 5;

/// Shows the number of tasks, and the first few of each step. With several steps, each starts with its heading.
pub(super) fn preview(steps: &[Step], expansions: &[Expansion<'_>]) -> Result<(), Failure> {
    let total: u64 = expansions.iter().map(Expansion::len).sum();
    for (position, expansion) in expansions.iter().enumerate() {
        if steps.len() > 1 {
            show::line(heading(steps, position))?;
        }
        for task in expansion.tasks_from(0).take(FIRST) {
            show::line(shown(&task))?;
        }
        if let Some(more @ 1..) = expansion.len().checked_sub(FIRST as u64) {
            show::line(format_args!("… and {more} more like these"))?;
        }
        if let Some(task) = expansion.tasks_from(0).next() {
            show::line(common(&task))?;
        }
    }
    show::line(format_args!("would submit {total} {}", if total == 1 { "task" } else { "tasks" }))
}

/// The heading of a step: `job train, after prepare:`. A step without a name has its position instead.
fn heading(steps: &[Step], position: usize) -> String {
    let name = |position: usize| match &steps[position].name {
        Some(name) => name.to_string(),
        None => (position + 1).to_string(),
    };
    let needs = steps[position].needs.iter().map(|(need, kind)| match kind {
        NeedKind::Succeeded => name(*need),
        NeedKind::Ended => format!("{} (ended)", name(*need)),
        NeedKind::Each => format!("{} (each)", name(*need)),
    });
    let needs: Vec<String> = needs.collect();
    let after = if needs.is_empty() { String::new() } else { format!(", after {}", needs.join(", ")) };
    format!("job {}{after}:", name(position))
}

/// The settings that all tasks share.
fn common(task: &SubmitTaskRequest) -> impl Display {
    let mut words = vec![match task.group_name.as_str() {
        "" => "your own group".to_owned(),
        group => format!("group {group}"),
    }];
    if !task.tags.is_empty() {
        words.push(format!("tags {}", task.tags.join(" ")));
    }
    let unusual = task.task_spec.directory.as_ref().filter(|it| !matches!(it, TaskDirectory::Prefer(_)));
    if let Some(directory) = unusual {
        words.push(format!("directory {}", directory_text(directory)));
    }
    words.push(format!("timeout {}", duration::short(task.timeout)));
    let request = &task.task_spec.request;
    if !request.is_default() {
        words.push(format!("requests {}", describe_request(request)));
    }
    if let Some(limit) = task.task_spec.lost_after {
        words.push(format!("lost after {}", duration::short(limit)));
    }
    if task.task_spec.idempotent {
        words.push("idempotent".to_owned());
    }
    if let Some(signal) = task.task_spec.stop_signal {
        words.push(format!("stopped by {signal}"));
    }
    if let Some(grace) = task.task_spec.stop_grace {
        words.push(format!("killed {} later", duration::short(grace)));
    }
    if task.priority != 0 {
        words.push(format!("priority {}", task.priority));
    }
    if !task.task_spec.terminal_output {
        words.push("output discarded".to_owned());
    }
    format!("every task: {}", words.join(", "))
}

fn shown(task: &SubmitTaskRequest) -> impl Display {
    fmt::from_fn(|f| {
        let spec = &task.task_spec;
        write!(f, "{}", shell_words(&spec.args))?;
        // The arguments of a script need not contain them.
        if !spec.files.is_empty() {
            for (name, value) in &spec.params {
                write!(f, "\n    parameter {name}={}", shell_word(value))?;
            }
        }
        for (name, value) in spec.envs.iter().filter(|(name, _)| !name.starts_with("MITO_PARAM_")) {
            write!(f, "\n    variable {name}={}", shell_word(value))?;
        }
        for (variable, name) in &spec.secrets {
            match variable == name {
                true => write!(f, "\n    secret {name}")?,
                false => write!(f, "\n    secret {variable}={name}")?,
            }
        }
        if !task.labels.is_empty() {
            write!(f, "\n    labels {}", shell_words(&task.labels))?;
        }
        for ResourceDownload { remote_file, local_path } in &spec.resources {
            match remote_file {
                RemoteFile::Attachment { key } => write!(f, "\n    attachment {key} as {local_path}")?,
                RemoteFile::Artifact { uuid, content_type } => {
                    write!(f, "\n    artifact {content_type} of {uuid} as {local_path}")?;
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use mitosis_sweep::{Extras, Job};

    use super::*;

    #[test]
    fn heading_names_the_step_and_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        let text = "[[tasks]]\nname = 'prepare'\ncommand = 'a'\n[[tasks]]\ncommand = 'b'\n\
                    [[tasks]]\nname = 'report'\ncommand = 'c'\nneeds = ['prepare', {job = 'train', when = 'ended'}]\n\
                    [[tasks]]\nname = 'train'\ncommand = 'd'\nneeds = ['prepare']\n";
        std::fs::write(&path, text).unwrap();
        let steps = Job::read(&path, Extras { group: "ann", labels: &[], directory: None }).unwrap().steps;
        let headings: Vec<String> = (0..steps.len()).map(|position| heading(&steps, position)).collect();
        let expected = [
            "job prepare:",
            "job 2:",
            "job train, after prepare:",
            "job report, after prepare, train (ended):",
        ];
        assert_eq!(headings, expected);
    }
}
