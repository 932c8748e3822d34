//! A task with parameters, and its expansion.

use std::borrow::Cow;

use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest};
use serde::{Deserialize, Serialize};

use super::error::InvalidSweep;
use super::plan::Plan;
use super::template::Template;

/// A task with placeholders in its command, variables, labels and resources, and the values for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The task. Without parameters it is used as written: braces have no meaning.
    pub task: SubmitTaskRequest,
    /// The parameters and their combinations.
    pub plan: Plan,
}

/// A sweep whose placeholders have been checked.
#[derive(Debug)]
pub struct Expansion<'a> {
    sweep: &'a Sweep,
    names: Vec<&'a str>,
    args: Vec<Template>,
    envs: Vec<(&'a str, Template)>,
    labels: Vec<Template>,
    resources: Vec<(Option<Template>, Template)>,
}

/// The environment variable for a parameter: `MITO_PARAM_` and the name in capital letters, with `_` for every
/// other character.
pub fn variable(name: &str) -> String {
    let letter = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    format!("MITO_PARAM_{}", name.chars().map(letter).collect::<String>())
}

impl Sweep {
    /// Checks every placeholder.
    pub fn expand(&self) -> Result<Expansion<'_>, InvalidSweep> {
        let names: Vec<&str> = self.plan.names().collect();
        let template = |text: &str| match names.is_empty() {
            true => Ok(Template::plain(text)),
            false => Template::parse(text, &names),
        };
        let all = |texts: &[String]| texts.iter().map(|text| template(text)).collect::<Result<Vec<_>, _>>();
        let spec = &self.task.task_spec;
        let resource = |resource: &ResourceDownload| {
            let key = match &resource.remote_file {
                RemoteFile::Attachment { key } => Some(template(key)?),
                RemoteFile::Artifact { .. } => None,
            };
            Ok((key, template(&resource.local_path)?))
        };
        Ok(Expansion {
            args: all(&spec.args)?,
            envs: spec
                .envs
                .iter()
                .map(|(name, value)| Ok((name.as_str(), template(value)?)))
                .collect::<Result<_, _>>()?,
            labels: all(&self.task.labels)?,
            resources: spec.resources.iter().map(resource).collect::<Result<_, _>>()?,
            sweep: self,
            names,
        })
    }
}

impl Expansion<'_> {
    /// The number of tasks.
    pub fn len(&self) -> u64 {
        self.sweep.plan.len()
    }

    /// Always false: a sweep has at least one task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of the tasks, from 0. The same index always gives the same task. Panics past the end.
    pub fn task(&self, index: u64) -> SubmitTaskRequest {
        let Sweep { task, plan } = self.sweep;
        let row = plan.row(index);
        SubmitTaskRequest {
            group_name: task.group_name.clone(),
            tags: task.tags.clone(),
            labels: self.labels.iter().map(|label| label.fill(&row)).collect(),
            timeout: task.timeout,
            priority: task.priority,
            task_spec: self.spec(&task.task_spec, &row),
        }
    }

    /// All tasks from `first` on, generated one by one.
    pub fn tasks_from(&self, first: u64) -> impl Iterator<Item = SubmitTaskRequest> {
        (first..self.len()).map(|index| self.task(index))
    }

    fn spec(&self, spec: &TaskSpec, row: &[Cow<'_, str>]) -> TaskSpec {
        let params = self.names.iter().zip(row);
        // Variables that the user sets have precedence.
        let mut envs: std::collections::BTreeMap<String, String> =
            params.clone().map(|(name, value)| (variable(name), value.to_string())).collect();
        envs.extend(self.envs.iter().map(|(name, value)| ((*name).to_owned(), value.fill(row))));
        let resources = spec.resources.iter().zip(&self.resources);
        TaskSpec {
            args: self.args.iter().map(|arg| arg.fill(row)).collect(),
            envs,
            resources: resources.map(|(resource, places)| fill_resource(resource, places, row)).collect(),
            terminal_output: spec.terminal_output,
            watch: spec.watch,
            lost_after: spec.lost_after,
            idempotent: spec.idempotent,
            params: spec
                .params
                .clone()
                .into_iter()
                .chain(params.map(|(name, value)| ((*name).to_owned(), value.to_string())))
                .collect(),
        }
    }
}

fn fill_resource(
    resource: &ResourceDownload,
    (key, local_path): &(Option<Template>, Template),
    row: &[Cow<'_, str>],
) -> ResourceDownload {
    let remote_file = match key {
        Some(key) => RemoteFile::Attachment { key: key.fill(row) },
        None => resource.remote_file.clone(),
    };
    ResourceDownload { remote_file, local_path: local_path.fill(row) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::{Column, Factor, Values};

    fn sweep(args: &[&str], parameters: &[(&str, &str)]) -> Sweep {
        let factor = |(name, values): &(&str, &str)| {
            Factor::new(vec![Column::new(name, Values::parse(values).unwrap()).unwrap()]).unwrap()
        };
        Sweep {
            task: SubmitTaskRequest {
                group_name: "ann".into(),
                tags: vec!["gpu".into()],
                labels: vec!["run-{x}".into()],
                timeout: Duration::from_secs(60),
                priority: 3,
                task_spec: TaskSpec {
                    args: args.iter().map(ToString::to_string).collect(),
                    envs: BTreeMap::from([("HERE".into(), "<{x}>".into())]),
                    resources: vec![ResourceDownload {
                        remote_file: RemoteFile::Attachment { key: "in/{x}.csv".into() },
                        local_path: "{x}.csv".into(),
                    }],
                    ..TaskSpec::default()
                },
            },
            plan: Plan::product(parameters.iter().map(factor).collect()).unwrap(),
        }
    }

    #[test]
    fn all_placeholders_are_filled_and_values_recorded() {
        let sweep = sweep(&["echo", "{x}", "{the rate}"], &[("x", "1..2"), ("the rate", "0.5")]);
        let task = sweep.expand().unwrap().task(1);
        assert_eq!(task.labels, ["run-2"]);
        assert_eq!(task.task_spec.args, ["echo", "2", "0.5"]);
        let envs = [("HERE", "<2>"), ("MITO_PARAM_THE_RATE", "0.5"), ("MITO_PARAM_X", "2")];
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(task.task_spec.envs, pairs(&envs));
        assert_eq!(task.task_spec.params, pairs(&[("the rate", "0.5"), ("x", "2")]));
        let resource = &task.task_spec.resources[0];
        assert_eq!(resource.remote_file, RemoteFile::Attachment { key: "in/2.csv".into() });
        assert_eq!(resource.local_path, "2.csv");
        assert_eq!((task.tags, task.priority), (vec!["gpu".to_owned()], 3));
    }

    #[test]
    fn user_variable_has_precedence() {
        let mut sweep = sweep(&["true"], &[("x", "1")]);
        sweep.task.task_spec.envs.insert("MITO_PARAM_X".into(), "mine".into());
        assert_eq!(sweep.expand().unwrap().task(0).task_spec.envs["MITO_PARAM_X"], "mine");
    }

    #[test]
    fn task_without_parameters_is_unchanged() {
        let sweep = sweep(&["awk", "{print}"], &[]);
        let expansion = sweep.expand().unwrap();
        assert_eq!(expansion.len(), 1);
        assert_eq!(expansion.task(0), sweep.task);
    }

    #[test]
    fn unknown_placeholder_is_found_in_advance() {
        for wrong in ["{y}", "{", "}"] {
            assert!(sweep(&[wrong], &[("x", "1..3")]).expand().is_err(), "{wrong}");
        }
        let mut sweep = sweep(&["true"], &[("x", "1")]);
        sweep.task.labels.push("{y}".into());
        assert!(sweep.expand().is_err());
    }

    #[test]
    fn any_part_of_a_sweep_can_be_repeated() {
        let sweep = sweep(&["{x}{y}"], &[("x", "1..100"), ("y", "a,b")]);
        let expansion = sweep.expand().unwrap();
        let all: Vec<_> = expansion.tasks_from(0).collect();
        assert_eq!(all.len(), 200);
        assert_eq!(expansion.tasks_from(150).collect::<Vec<_>>(), all[150..]);
        let kept = serde_json::to_string(&sweep).unwrap();
        let again: Sweep = serde_json::from_str(&kept).unwrap();
        assert_eq!(again.expand().unwrap().task(199), all[199]);
    }

    /// Linear time, without a list of all tasks: memory is allocated for one task at a time.
    #[test]
    fn hundred_thousand_tasks_are_created_one_by_one() {
        let sweep = sweep(&["echo", "{x}-{y}"], &[("x", "1..1000"), ("y", "1..100")]);
        let expansion = sweep.expand().unwrap();
        let last = expansion.tasks_from(0).last().unwrap();
        assert_eq!((expansion.len(), last.task_spec.args[1].as_str()), (100_000, "1000-100"));
    }
}
