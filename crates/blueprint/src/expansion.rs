//! The tasks of a blueprint.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest, TaskDirectory};

use super::blueprint::Blueprint;
use super::error::InvalidBlueprint;
use super::plan::variable;
use super::template::{Names, Template};

/// A blueprint whose placeholders have been checked.
#[derive(Debug)]
pub struct Expansion<'a> {
    blueprint: &'a Blueprint,
    parameters: Vec<Parameter<'a>>,
    args: Vec<Template>,
    envs: Vec<(&'a str, Template)>,
    labels: Vec<Template>,
    resources: Vec<(Option<Template>, Template)>,
    stdin: Option<Template>,
}

#[derive(Debug)]
struct Parameter<'a> {
    name: &'a str,
    /// The environment variable with its value.
    variable: String,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(blueprint: &'a Blueprint) -> Result<Self, InvalidBlueprint> {
        let names = Names::new(blueprint.plan.names());
        let template = |text: &str| Template::new(text, &names);
        let all = |texts: &[String]| texts.iter().map(|text| template(text)).collect::<Result<Vec<_>, _>>();
        let spec = &blueprint.task.task_spec;
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
            labels: all(&blueprint.task.labels)?,
            resources: spec.resources.iter().map(resource).collect::<Result<_, _>>()?,
            stdin: spec.stdin.as_deref().map(template).transpose()?,
            parameters: blueprint.plan.names().map(Parameter::new).collect(),
            blueprint,
        })
    }

    /// The number of tasks.
    pub fn len(&self) -> u64 {
        self.blueprint.plan.len()
    }

    /// Always false: a blueprint has at least one task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of the tasks, from 0. The same index always gives the same task. Panics past the end.
    pub fn task(&self, index: u64) -> SubmitTaskRequest {
        self.get(index).expect("a task of the blueprint")
    }

    /// One of the tasks, from 0; `None` past the end. The same index always gives the same task.
    pub fn get(&self, index: u64) -> Option<SubmitTaskRequest> {
        self.blueprint.plan.get(index).map(|row| self.filled(&row))
    }

    /// Tasks, from 0, that together have every word and both ends of every range of numbers among the parameters.
    pub fn samples(&self) -> BTreeSet<u64> {
        self.blueprint.plan.samples()
    }

    /// All tasks from `first` on, generated one by one.
    pub fn tasks_from(&self, first: u64) -> impl Iterator<Item = SubmitTaskRequest> {
        (first..self.len()).map(|index| self.task(index))
    }

    /// An upper bound of the bytes of all texts of one task, computed without expanding any. As in the limits of a
    /// command, each text counts one byte more than it has.
    pub fn largest_task_bytes(&self) -> u64 {
        let task = &self.blueprint.task;
        let values: Vec<u64> = self.blueprint.plan.longest_values().collect();
        let filled = |template: &Template| template.longest(&values).saturating_add(1);
        let directory = match &task.task_spec.directory {
            Some(TaskDirectory::Prefer(path) | TaskDirectory::Require(path)) => Some(path),
            Some(TaskDirectory::Fresh) | None => None,
        };
        let unchanged = [&task.group_name].into_iter().chain(&task.tags).chain(directory);
        let files = task.task_spec.files.iter().flat_map(|(path, text)| [path, text]);
        let params = task.task_spec.params.iter().flat_map(|(name, value)| [name, value]);
        let secrets = task.task_spec.secrets.iter().flat_map(|(variable, name)| [variable, name]);
        let envs = self.envs.iter().map(|(name, value)| filled(value).saturating_add(bytes(name)));
        let resources = self.resources.iter().flat_map(|(key, local_path)| key.iter().chain([local_path]));
        let parameters =
            self.parameters.iter().zip(&values).map(|(parameter, value)| parameter.bytes(*value));
        unchanged
            .chain(params)
            .chain(secrets)
            .chain(files)
            .map(|text| bytes(text))
            .chain(self.labels.iter().chain(&self.args).chain(resources).chain(&self.stdin).map(filled))
            .chain(envs)
            .chain(parameters)
            .fold(0, u64::saturating_add)
    }

    fn filled(&self, row: &[Cow<'_, str>]) -> SubmitTaskRequest {
        let task = &self.blueprint.task;
        SubmitTaskRequest {
            group_name: task.group_name.clone(),
            tags: task.tags.clone(),
            labels: self.labels.iter().map(|label| label.fill(row)).collect(),
            timeout: task.timeout,
            priority: task.priority,
            task_spec: self.spec(&task.task_spec, row),
        }
    }

    fn spec(&self, spec: &TaskSpec, row: &[Cow<'_, str>]) -> TaskSpec {
        let parameters = self.parameters.iter().zip(row);
        // Variables that the user sets have precedence.
        let mut envs: BTreeMap<String, String> = parameters
            .clone()
            .map(|(parameter, value)| (parameter.variable.clone(), value.to_string()))
            .collect();
        envs.extend(self.envs.iter().map(|(name, value)| ((*name).to_owned(), value.fill(row))));
        let mut params = spec.params.clone();
        params.extend(parameters.map(|(parameter, value)| (parameter.name.to_owned(), value.to_string())));
        let resources = spec.resources.iter().zip(&self.resources);
        TaskSpec {
            args: self.args.iter().map(|arg| arg.fill(row)).collect(),
            envs,
            secrets: spec.secrets.clone(),
            resources: resources.map(|(resource, places)| fill_resource(resource, places, row)).collect(),
            terminal_output: spec.terminal_output,
            watch: spec.watch,
            lost_after: spec.lost_after,
            idempotent: spec.idempotent,
            stop_signal: spec.stop_signal,
            stop_grace: spec.stop_grace,
            directory: spec.directory.clone(),
            files: spec.files.clone(),
            stdin: self.stdin.as_ref().map(|path| path.fill(row)),
            request: spec.request.clone(),
            params,
        }
    }
}

impl<'a> Parameter<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, variable: variable(name) }
    }

    /// The bytes of the parameter and of its variable, for a value of this length.
    fn bytes(&self, value: u64) -> u64 {
        let twice = value.saturating_add(1).saturating_mul(2);
        bytes(self.name).saturating_add(bytes(&self.variable)).saturating_add(twice)
    }
}

/// The bytes of a text, and one more.
fn bytes(text: &str) -> u64 {
    text.len() as u64 + 1
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
    use std::time::Duration;

    use super::*;
    use crate::{Column, Factor, Plan, Values};

    fn blueprint(args: &[&str], parameters: &[(&str, &str)]) -> Blueprint {
        let factor = |(name, values): &(&str, &str)| {
            Factor::new(vec![Column::new(name, Values::parse(values).unwrap()).unwrap()]).unwrap()
        };
        Blueprint {
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
        let blueprint = blueprint(&["echo", "{x}", "{the rate}"], &[("x", "1..2"), ("the rate", "0.5")]);
        let task = blueprint.expand().unwrap().task(1);
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
    fn directory_and_files_are_literal_and_the_input_has_placeholders() {
        let mut blueprint = blueprint(&["true"], &[("x", "1..2")]);
        let spec = &mut blueprint.task.task_spec;
        spec.directory = Some(TaskDirectory::Prefer("/{y}".into()));
        spec.files = BTreeMap::from([("{z}".into(), "{".into())]);
        spec.stdin = Some("{x}.csv".into());
        let smaller = blueprint.expand().unwrap().largest_task_bytes();
        let task = blueprint.expand().unwrap().task(1).task_spec;
        assert_eq!(task.directory, Some(TaskDirectory::Prefer("/{y}".into())));
        assert_eq!(task.files, BTreeMap::from([("{z}".into(), "{".into())]));
        assert_eq!(task.stdin.as_deref(), Some("2.csv"));
        blueprint.task.task_spec.files.insert("more".into(), "x".repeat(1000));
        assert_eq!(blueprint.expand().unwrap().largest_task_bytes(), smaller + 5 + 1001);
    }

    #[test]
    fn user_variable_has_precedence() {
        let mut blueprint = blueprint(&["true"], &[("x", "1")]);
        blueprint.task.task_spec.envs.insert("MITO_PARAM_X".into(), "mine".into());
        assert_eq!(blueprint.expand().unwrap().task(0).task_spec.envs["MITO_PARAM_X"], "mine");
    }

    #[test]
    fn task_without_parameters_is_unchanged() {
        let blueprint = blueprint(&["awk", "{print}"], &[]);
        let expansion = blueprint.expand().unwrap();
        assert_eq!(expansion.len(), 1);
        assert_eq!(expansion.task(0), blueprint.task);
    }

    #[test]
    fn unknown_placeholder_is_found_in_advance() {
        for wrong in ["{y}", "{", "}"] {
            assert!(blueprint(&[wrong], &[("x", "1..3")]).expand().is_err(), "{wrong}");
        }
        let mut blueprint = blueprint(&["true"], &[("x", "1")]);
        blueprint.task.labels.push("{y}".into());
        assert!(blueprint.expand().is_err());
    }

    #[test]
    fn any_part_of_a_blueprint_can_be_repeated() {
        let blueprint = blueprint(&["{x}{y}"], &[("x", "1..100"), ("y", "a,b")]);
        let expansion = blueprint.expand().unwrap();
        let all: Vec<_> = expansion.tasks_from(0).collect();
        assert_eq!(all.len(), 200);
        assert_eq!(expansion.tasks_from(150).collect::<Vec<_>>(), all[150..]);
        let kept = serde_json::to_string(&blueprint).unwrap();
        let again: Blueprint = serde_json::from_str(&kept).unwrap();
        assert_eq!(again.expand().unwrap().task(199), all[199]);
    }

    /// Linear time, without a list of all tasks: memory is allocated for one task at a time.
    #[test]
    fn hundred_thousand_tasks_are_created_one_by_one() {
        let blueprint = blueprint(&["echo", "{x}-{y}"], &[("x", "1..1000"), ("y", "1..100")]);
        let expansion = blueprint.expand().unwrap();
        let last = expansion.tasks_from(0).last().unwrap();
        assert_eq!((expansion.len(), last.task_spec.args[1].as_str()), (100_000, "1000-100"));
    }
}
