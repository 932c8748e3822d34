//! Reads job files: tasks, their parameters, and the files that they need.
//!
//! The schema is the same in TOML, YAML and JSON. An unknown key is an error with its line.

mod fetched;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_blueprint::Blueprint;
use mitosis_domain::content_key::Digest;
use mitosis_domain::selector::JobName;
use mitosis_protocol::job::NeedKind;
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::notify::Notify;
use mitosis_protocol::retry::RetryPolicy;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{ArtifactKind, TaskSpec};

use super::document::Language;
use super::error::Error;
use super::input::add_input;
use super::needs::{self, Named};
use super::parameter_files;
use super::retries;
use super::staged::add_upload;
use fetched::{Fetched, check_lengths, with_sources};
use settings::{JobFile, Need, Resource, Task, task_command};

/// The timeout of tasks without one, as for `mito submit` without a job file.
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(24);

/// The content of a job file.
#[derive(Debug)]
pub struct Job {
    /// A step for each task of the file. Each comes after those that it needs.
    pub steps: Vec<Step>,
    /// Files to upload before the tasks are submitted, each once.
    pub uploads: Vec<Upload>,
}

/// A task of a job file with its parameters. It becomes a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The name, which is unique within the file.
    pub name: Option<JobName>,
    /// The task and its parameters.
    pub blueprint: Blueprint,
    /// The positions of earlier steps that have to end first.
    pub needs: Vec<(usize, NeedKind)>,
    /// Artifacts of earlier steps that the tasks fetch.
    pub resources: Vec<StepResource>,
    /// Most tasks that run at the same time.
    pub max_running: Option<u64>,
    /// How many tasks may fail before the rest is cancelled.
    pub max_failures: Option<u64>,
    /// When tasks get further attempts by themselves.
    pub retry: Option<RetryPolicy>,
    /// What each task uses of named limits.
    pub limits: Vec<LimitUse>,
    /// What to send when it ends.
    pub notify: Vec<Notify>,
}

/// An artifact of an earlier step, which the tasks of a step fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResource {
    /// The position of the earlier step.
    pub from: usize,
    /// The kind of the artifact.
    pub content_type: ArtifactKind,
    /// The destination.
    pub local_path: String,
}

impl Step {
    /// A step without a name, needs and limits.
    pub fn single(blueprint: Blueprint) -> Self {
        Self {
            name: None,
            blueprint,
            needs: Vec::new(),
            resources: Vec::new(),
            max_running: None,
            max_failures: None,
            retry: None,
            limits: Vec::new(),
            notify: Vec::new(),
        }
    }
}

/// A local file that tasks need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file.
    pub file: PathBuf,
    /// The group to upload it to.
    pub group: String,
    /// The key of the file in the group.
    pub key: String,
}

/// Options of the command line that apply to a job file.
#[derive(Debug, Clone, Copy)]
pub struct Extras<'a> {
    /// The group of tasks without one; empty until it is known (see [`Job::with_default_group`]).
    pub group: &'a str,
    /// Labels for every task.
    pub labels: &'a [String],
    /// The directory where the submission is made, in which tasks start if their worker has it; an absolute path.
    pub directory: Option<&'a str>,
}

/// Whether a file is read as a job file, according to its name. A file that begins with `#!` is a script.
pub fn is_job_file(path: &Path) -> bool {
    let is_script = || {
        File::open(path).is_ok_and(|mut file| {
            let mut start = [0; 2];
            file.read_exact(&mut start).is_ok() && start == *b"#!"
        })
    };
    language_of(path).is_ok() && !is_script()
}

impl Job {
    /// Reads a job file. Relative paths in it start at its directory.
    pub fn read(path: &Path, extras: Extras<'_>) -> Result<Self, Error> {
        let language = language_of(path)?;
        let JobFile { defaults, tasks } =
            language.parse(&parameter_files::text(path)?).map_err(|error| wrong(path, error))?;
        if tasks.is_empty() {
            return Err(wrong(path, "it has no tasks"));
        }
        if defaults.name.is_some() || !defaults.needs.is_empty() {
            return Err(wrong(path, "`name` and `needs` belong to one task, not to `defaults`"));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut job = Self { steps: Vec::new(), uploads: Vec::new() };
        let (mut needs, mut fetched) = (Vec::new(), Vec::new());
        for (task, number) in tasks.into_iter().zip(1..) {
            let task_needs = task.needs.iter().flat_map(Need::conditions).collect::<Vec<_>>();
            let task = task.over(defaults.clone());
            fetched.push(task.fetched().map_err(|error| in_task(path, number, error))?);
            needs.push(with_sources(task_needs, fetched.last().map_or(&[][..], Vec::as_slice)));
            let step = job.add(task, folder, extras);
            job.steps.push(step.map_err(|error| in_task(path, number, error))?);
        }
        job.in_order(&needs, &fetched)
            .map_err(|error| error.about(&format!("invalid job file {}", path.display())))
    }

    /// Puts each step after those that it needs; `needs` has the names that each step needs, `fetched` what it fetches.
    fn in_order(
        mut self,
        needs: &[Vec<(String, NeedKind)>],
        fetched: &[Vec<Fetched>],
    ) -> Result<Self, Error> {
        let name = |step: &Step| step.name.as_ref().map(|name| name.as_str().to_owned());
        let names: Vec<Option<String>> = self.steps.iter().map(name).collect();
        let tasks: Vec<Named<'_>> =
            names.iter().zip(needs).map(|(name, needs)| Named { name: name.as_deref(), needs }).collect();
        let order = needs::order(&tasks)?;
        let mut unordered: Vec<Option<Step>> = self.steps.into_iter().map(Some).collect();
        let mut positions = BTreeMap::new();
        for (position, task) in order.tasks.iter().enumerate() {
            positions.extend(names[*task].as_deref().map(|name| (name, position)));
        }
        let mut steps = Vec::with_capacity(order.tasks.len());
        for (task, needs) in order.tasks.iter().zip(order.needs) {
            let resources = fetched[*task].iter().filter_map(|fetched| fetched.at(&positions)).collect();
            steps.extend(unordered[*task].take().map(|step| Step { needs, resources, ..step }));
        }
        self.steps = steps;
        check_lengths(&self.steps)?;
        Ok(self)
    }

    /// Sets the group of tasks and uploads that have none.
    pub fn with_default_group(mut self, group: &str) -> Result<Self, Error> {
        let set = |name: &mut String| {
            if name.is_empty() {
                group.clone_into(name);
            }
        };
        self.steps.iter_mut().for_each(|step| set(&mut step.blueprint.task.group_name));
        for mut upload in std::mem::take(&mut self.uploads) {
            set(&mut upload.group);
            self.add_upload(upload)?;
        }
        Ok(self)
    }

    fn add(&mut self, task: Task, folder: &Path, extras: Extras<'_>) -> Result<Step, Error> {
        let plan = task.plan(folder)?;
        let group = task.group.as_deref().unwrap_or(extras.group).to_owned();
        let stored = task.resources.iter().filter(|resource| resource.from.is_none());
        let mut resources = stored.map(Resource::download).collect::<Result<Vec<_>, _>>()?;
        for attachment in &task.attachments {
            let (upload, resource) = attachment.upload_and_resource(folder, &group, plan.is_plain())?;
            self.add_upload(upload)?;
            resources.push(resource);
        }
        let (command, script, stdin) = (task.command.clone(), task.script.clone(), task.stdin.clone());
        let labels = task.labels.iter().chain(extras.labels).cloned().collect();
        let envs = task.variables(folder, plan.is_plain())?;
        let secrets = task.secrets();
        let directory = task.directory(folder, extras.directory)?;
        let (max_running, max_failures) = (task.max_running()?, task.max_failures()?);
        let notify = task.notifications();
        let retry = retries::policy(task.retries()?, &task.retry_on, task.backoff)?;
        let limits = task.limits()?;
        let request = task.request()?;
        let mut blueprint = Blueprint {
            task: SubmitTaskRequest {
                group_name: group,
                tags: task.tags,
                labels,
                timeout: task.timeout.unwrap_or(DEFAULT_TIMEOUT),
                priority: task.priority.unwrap_or(0),
                task_spec: TaskSpec {
                    envs,
                    secrets,
                    resources,
                    terminal_output: task.output.unwrap_or(true),
                    lost_after: task.lost_after,
                    idempotent: task.idempotent.unwrap_or(false),
                    stop_signal: task.stop_signal,
                    stop_grace: task.stop_grace,
                    request,
                    directory: Some(directory),
                    ..TaskSpec::default()
                },
            },
            plan,
        };
        let is_plain = blueprint.plan.is_plain();
        task_command(command.as_ref(), script.as_ref(), folder, is_plain, &mut blueprint.task.task_spec)?;
        for path in &task.upload {
            for upload in add_upload(&mut blueprint.task, &folder.join(path), is_plain)? {
                self.add_content(upload);
            }
        }
        if let Some(file) = stdin
            && let Some(upload) = add_input(&mut blueprint.task, &folder.join(file), is_plain)?
        {
            self.add_content(upload);
        }
        Ok(Step {
            name: task.name,
            max_running,
            max_failures,
            retry,
            limits,
            notify,
            ..Step::single(blueprint)
        })
    }

    /// Adds a file whose key names its content, once.
    fn add_content(&mut self, upload: Upload) {
        if !self.uploads.iter().any(|other| other.group == upload.group && other.key == upload.key) {
            self.uploads.push(upload);
        }
    }

    /// Adds a file once. Two files with one key are an error.
    fn add_upload(&mut self, upload: Upload) -> Result<(), Error> {
        let same_place =
            self.uploads.iter().find(|other| other.group == upload.group && other.key == upload.key);
        match same_place {
            None => self.uploads.push(upload),
            Some(other) if other.file == upload.file || Digest::of_key(&upload.key).is_some() => {}
            Some(other) => {
                return Err(Error::input(format!(
                    "{} and {} have the same attachment key, `{}`",
                    other.file.display(),
                    upload.file.display(),
                    upload.key
                ))
                .with_hint("set another `key` for one of them"));
            }
        }
        Ok(())
    }
}

/// The language of a job file, from the extension of its name.
fn language_of(path: &Path) -> Result<Language, Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("toml") => Ok(Language::Toml),
        Some("yaml" | "yml") => Ok(Language::Yaml),
        Some("json") => Ok(Language::Json),
        _ => Err(Error::input(format!("{} is not a job file", path.display())).with_hint(
            "expected a name that ends with .toml, .yaml, .yml or .json; put a command after `--`",
        )),
    }
}

fn in_task(path: &Path, number: usize, error: Error) -> Error {
    Error::Task { number, path: path.to_owned(), source: Box::new(error) }
}

fn wrong(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::input(format!("invalid job file {}: {error}", path.display()))
        .with_hint("the guide lists the keys of job files")
}
