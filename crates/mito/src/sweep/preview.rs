//! What would be submitted.

use std::fmt::{self, Display};

use mitosis_domain::sweep::Expansion;
use mitosis_protocol::task::SubmitTaskRequest;

use crate::failure::Failure;
use crate::show;

/// So many are enough to see the pattern.
const FIRST: usize = 5;

/// Shows how many tasks there would be, and the first few of each kind.
pub(crate) fn preview(expansions: &[Expansion<'_>]) -> Result<(), Failure> {
    let total: u64 = expansions.iter().map(Expansion::len).sum();
    for expansion in expansions {
        for task in expansion.tasks_from(0).take(FIRST) {
            show::line(shown(&task))?;
        }
        if let Some(more @ 1..) = expansion.len().checked_sub(FIRST as u64) {
            show::line(format_args!("… and {more} more like these"))?;
        }
    }
    show::line(format_args!("would submit {total} {}", if total == 1 { "task" } else { "tasks" }))
}

fn shown(task: &SubmitTaskRequest) -> impl Display {
    fmt::from_fn(|f| {
        let spec = &task.task_spec;
        let words: Vec<_> = spec.args.iter().map(|arg| quoted(arg)).collect();
        write!(f, "{}", words.join(" "))?;
        for (name, value) in spec.envs.iter().filter(|(name, _)| !name.starts_with("MITO_PARAM_")) {
            write!(f, "\n    variable {name}={value}")?;
        }
        if !task.labels.is_empty() {
            write!(f, "\n    labels {}", task.labels.join(" "))?;
        }
        Ok(())
    })
}

/// As a shell would need it.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}
