//! Artifacts that tasks fetch from other tasks of their job file.

use std::collections::BTreeMap;

use mitosis_protocol::ArtifactKind;
use mitosis_protocol::job::NeedKind;

use super::{Step, StepResource};
use crate::error::Error;

/// An artifact of another task of the file.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) from: String,
    pub(super) content_type: ArtifactKind,
    pub(super) local_path: String,
}

impl Fetched {
    pub(super) fn at(&self, positions: &BTreeMap<&str, usize>) -> Option<StepResource> {
        let from = *positions.get(self.from.as_str())?;
        Some(StepResource { from, content_type: self.content_type, local_path: self.local_path.clone() })
    }
}

/// The needs of a task, and the success of other tasks from which it only fetches artifacts.
pub(super) fn with_sources(
    mut needs: Vec<(String, NeedKind)>,
    fetched: &[Fetched],
) -> Vec<(String, NeedKind)> {
    for Fetched { from, .. } in fetched {
        if needs.iter().all(|(name, _)| name != from) {
            needs.push((from.clone(), NeedKind::Succeeded));
        }
    }
    needs
}

/// Checks the numbers of tasks of steps that need each other task by task, or fetch artifacts.
pub(super) fn check_lengths(steps: &[Step]) -> Result<(), Error> {
    let name = |step: &Step| step.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
    for step in steps {
        let (who, size) = (name(step), step.blueprint.plan.len());
        let is_each = |position: usize| step.needs.contains(&(position, NeedKind::Each));
        for (position, _) in step.needs.iter().filter(|(_, kind)| *kind == NeedKind::Each) {
            let (needed, tasks) = (name(&steps[*position]), steps[*position].blueprint.plan.len());
            if tasks != size {
                return Err(Error::input(format!(
                    "the task{who} needs{needed} one by one, but is {size} tasks, and{needed} is {tasks}"
                ))
                .with_hint("give both the same parameters, or leave out `each` to wait for all"));
            }
        }
        for resource in step.resources.iter().filter(|resource| !is_each(resource.from)) {
            let (source, tasks) = (name(&steps[resource.from]), steps[resource.from].blueprint.plan.len());
            if tasks != 1 {
                return Err(Error::input(format!(
                    "the task{who} fetches an artifact of{source}, which is {tasks} tasks"
                ))
                .with_hint(format!(
                    "write needs = [{{{} = \"each\"}}] to fetch that of the task with the same index",
                    source.trim().trim_matches('`')
                )));
            }
        }
    }
    Ok(())
}
