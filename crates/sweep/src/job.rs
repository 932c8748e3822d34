//! Reads job files: tasks, their parameters, and the files that they need.
//!
//! The schema is the same in TOML, YAML and JSON. An unknown key is an error with its line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_blueprint::{Blueprint, Column, Factor, Plan, Values, literal};
use mitosis_domain::selector::JobName;
use mitosis_protocol::job::NeedKind;
use mitosis_protocol::retry::{MAX_RETRIES, RetryCause, RetryPolicy};
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest, TaskDirectory};
use mitosis_protocol::{ArtifactKind, TaskSpec, Uuid};
use serde::Deserialize;

use super::attachment_key::{attachment_key, file_name};
use super::command::Command;
use super::directory::absolute_directory;
use super::document::Language;
use super::env_file::env_file;
use super::error::Error;
use super::input::add_input;
use super::needs::{self, Named};
use super::parameter_files::{self, Combine};
use super::retries::{self, Backoff};
use super::script::Script;

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
    /// Most tasks that run at the same time.
    pub max_running: Option<u64>,
    /// How many tasks may fail before the rest is cancelled.
    pub max_failures: Option<u64>,
    /// When tasks get further attempts by themselves.
    pub retry: Option<RetryPolicy>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `tasks`")]
struct JobFile {
    #[serde(default)]
    defaults: Task,
    tasks: Vec<Task>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table of task settings")]
struct Task {
    name: Option<JobName>,
    needs: Vec<Need>,
    command: Option<Command>,
    script: Option<Command>,
    stdin: Option<PathBuf>,
    group: Option<String>,
    tags: Vec<String>,
    labels: Vec<String>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    timeout: Option<Duration>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    lost_after: Option<Duration>,
    idempotent: Option<bool>,
    priority: Option<i32>,
    max_running: Option<i64>,
    max_failures: Option<i64>,
    retries: Option<i64>,
    retry_on: Vec<RetryCause>,
    backoff: Option<Backoff>,
    #[serde(alias = "terminal")]
    output: Option<bool>,
    env: BTreeMap<String, String>,
    env_file: Option<Files>,
    chdir: Option<PathBuf>,
    fresh_dir: Option<bool>,
    matrix: BTreeMap<String, Choices>,
    zip: Option<bool>,
    each_line: Option<PathBuf>,
    from_csv: Option<PathBuf>,
    resources: Vec<Resource>,
    attachments: Vec<Attachment>,
}

/// Another task of the file that has to end first.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a task, or {job = \"NAME\", when = \"succeeded\" or \"ended\"}"
)]
enum Need {
    Name(String),
    Condition(Condition),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    job: String,
    #[serde(default)]
    when: When,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum When {
    #[default]
    Succeeded,
    Ended,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected the path of a file, or a list of paths")]
enum Files {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a list of values, or a text such as 1..10")]
enum Choices {
    List(Vec<String>),
    /// Values in the form of `-F`.
    Text(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `artifact` or `attachment`")]
struct Resource {
    attachment: Option<String>,
    artifact: Option<Uuid>,
    #[serde(rename = "type")]
    kind: Option<ArtifactKind>,
    #[serde(rename = "as")]
    local_path: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `file`")]
struct Attachment {
    file: PathBuf,
    key: Option<String>,
    #[serde(rename = "as")]
    local_path: Option<String>,
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
        let mut needs = Vec::new();
        for (task, number) in tasks.into_iter().zip(1..) {
            needs.push(task.needs.iter().map(Need::condition).collect());
            let step = job.add(task.over(defaults.clone()), folder, extras);
            job.steps.push(step.map_err(|error| Error::Task {
                number,
                path: path.to_owned(),
                source: Box::new(error),
            })?);
        }
        job.in_order(&needs).map_err(|error| error.about(&format!("invalid job file {}", path.display())))
    }

    /// Puts each step after those that it needs; `needs` has the names that each step needs.
    fn in_order(mut self, needs: &[Vec<(String, NeedKind)>]) -> Result<Self, Error> {
        let name = |step: &Step| step.name.as_ref().map(|name| name.as_str().to_owned());
        let names: Vec<Option<String>> = self.steps.iter().map(name).collect();
        let tasks: Vec<Named<'_>> =
            names.iter().zip(needs).map(|(name, needs)| Named { name: name.as_deref(), needs }).collect();
        let order = needs::order(&tasks)?;
        let mut unordered: Vec<Option<Step>> = self.steps.into_iter().map(Some).collect();
        let steps = order.tasks.iter().zip(order.needs);
        self.steps =
            steps.filter_map(|(task, needs)| Some(Step { needs, ..unordered[*task].take()? })).collect();
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
        let mut resources = task.resources.iter().map(Resource::download).collect::<Result<Vec<_>, _>>()?;
        for attachment in &task.attachments {
            let (upload, resource) = attachment.upload_and_resource(folder, &group, plan.is_plain())?;
            self.add_upload(upload)?;
            resources.push(resource);
        }
        let (command, script, stdin) = (task.command.clone(), task.script.clone(), task.stdin.clone());
        let labels = task.labels.iter().chain(extras.labels).cloned().collect();
        let envs = task.variables(folder, plan.is_plain())?;
        let directory = task.directory(folder, extras.directory)?;
        let (max_running, max_failures) = (task.max_running()?, task.max_failures()?);
        let retry = retries::policy(task.retries()?, &task.retry_on, task.backoff)?;
        let mut blueprint = Blueprint {
            task: SubmitTaskRequest {
                group_name: group,
                tags: task.tags,
                labels,
                timeout: task.timeout.unwrap_or(DEFAULT_TIMEOUT),
                priority: task.priority.unwrap_or(0),
                task_spec: TaskSpec {
                    envs,
                    resources,
                    terminal_output: task.output.unwrap_or(true),
                    lost_after: task.lost_after,
                    idempotent: task.idempotent.unwrap_or(false),
                    directory: Some(directory),
                    ..TaskSpec::default()
                },
            },
            plan,
        };
        let is_plain = blueprint.plan.is_plain();
        task_command(command.as_ref(), script.as_ref(), folder, is_plain, &mut blueprint.task.task_spec)?;
        if let Some(file) = stdin
            && let Some(upload) = add_input(&mut blueprint.task, &folder.join(file), is_plain)?
            && !self.uploads.iter().any(|other| other.group == upload.group && other.key == upload.key)
        {
            // The key names the content.
            self.uploads.push(upload);
        }
        Ok(Step { name: task.name, blueprint, needs: Vec::new(), max_running, max_failures, retry })
    }

    /// Adds a file once. Two files with one key are an error.
    fn add_upload(&mut self, upload: Upload) -> Result<(), Error> {
        let same_place =
            self.uploads.iter().find(|other| other.group == upload.group && other.key == upload.key);
        match same_place {
            None => self.uploads.push(upload),
            Some(other) if other.file == upload.file => {}
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

fn wrong(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::input(format!("invalid job file {}: {error}", path.display()))
        .with_hint("the guide lists the keys of job files")
}

impl Task {
    /// Combines a task with the defaults: lists and tables are joined, other values override the default.
    fn over(self, defaults: Self) -> Self {
        fn joined<T>(mut first: Vec<T>, second: Vec<T>) -> Vec<T> {
            first.extend(second);
            first
        }
        Self {
            name: self.name,
            needs: self.needs,
            command: self.command.clone().or(match self.script {
                Some(_) => None,
                None => defaults.command,
            }),
            script: self.script.or(match self.command {
                Some(_) => None,
                None => defaults.script,
            }),
            stdin: self.stdin.or(defaults.stdin),
            group: self.group.or(defaults.group),
            tags: joined(defaults.tags, self.tags),
            labels: joined(defaults.labels, self.labels),
            timeout: self.timeout.or(defaults.timeout),
            lost_after: self.lost_after.or(defaults.lost_after),
            idempotent: self.idempotent.or(defaults.idempotent),
            priority: self.priority.or(defaults.priority),
            max_running: self.max_running.or(defaults.max_running),
            max_failures: self.max_failures.or(defaults.max_failures),
            retries: self.retries.or(defaults.retries),
            retry_on: if self.retry_on.is_empty() { defaults.retry_on } else { self.retry_on },
            backoff: self.backoff.or(defaults.backoff),
            output: self.output.or(defaults.output),
            env_file: self.env_file.or(defaults.env_file),
            fresh_dir: self.fresh_dir.or(match self.chdir {
                Some(_) => None,
                None => defaults.fresh_dir,
            }),
            chdir: self.chdir.or(match self.fresh_dir {
                Some(true) => None,
                Some(false) | None => defaults.chdir,
            }),
            env: defaults.env.into_iter().chain(self.env).collect(),
            matrix: defaults.matrix.into_iter().chain(self.matrix).collect(),
            zip: self.zip.or(defaults.zip),
            each_line: self.each_line.or(defaults.each_line),
            from_csv: self.from_csv.or(defaults.from_csv),
            resources: joined(defaults.resources, self.resources),
            attachments: joined(defaults.attachments, self.attachments),
        }
    }

    /// The parameters: lines, then CSV rows, then the matrix in the order of its names.
    fn plan(&self, folder: &Path) -> Result<Plan, Error> {
        let mut factors = Vec::new();
        if let Some(file) = &self.each_line {
            factors
                .push(Factor::new(vec![parameter_files::lines(parameter_files::LINE, &folder.join(file))?])?);
        }
        if let Some(file) = &self.from_csv {
            factors.push(parameter_files::rows(&folder.join(file))?);
        }
        for (name, choices) in &self.matrix {
            let values = match choices {
                Choices::List(list) => Values::words(list.clone()),
                Choices::Text(text) => Values::parse(text)?,
            };
            factors.push(Factor::new(vec![Column::new(name, values)?])?);
        }
        match self.zip {
            Some(true) => Combine::Zip.plan(factors),
            Some(false) | None => Combine::Product.plan(factors),
        }
    }

    /// The variables: those of the files, which have no placeholders, and `env`, which overrides them.
    fn variables(&self, folder: &Path, is_plain: bool) -> Result<BTreeMap<String, String>, Error> {
        let files = match &self.env_file {
            None => &[][..],
            Some(Files::One(file)) => std::slice::from_ref(file),
            Some(Files::Many(files)) => files,
        };
        let mut variables = BTreeMap::new();
        for file in files {
            let read = env_file(&folder.join(file))?;
            variables.extend(read.into_iter().map(|(name, value)| match is_plain {
                true => (name, value),
                false => (name, literal(&value)),
            }));
        }
        variables.extend(self.env.clone());
        Ok(variables)
    }

    /// The directory in which the task starts. A relative `chdir` begins at the directory of the job file.
    fn directory(&self, folder: &Path, current: Option<&str>) -> Result<TaskDirectory, Error> {
        match (&self.chdir, self.fresh_dir, current) {
            (Some(_), Some(true), _) => Err(Error::input("`chdir` and `fresh_dir` exclude each other")),
            (Some(directory), _, current) => {
                absolute_directory(current, &folder.join(directory)).map(TaskDirectory::Require)
            }
            (None, Some(true), _) | (None, _, None) => Ok(TaskDirectory::Fresh),
            (None, _, Some(current)) => Ok(TaskDirectory::Prefer(current.to_owned())),
        }
    }

    fn max_running(&self) -> Result<Option<u64>, Error> {
        match self.max_running.map(u64::try_from) {
            Some(Ok(0) | Err(_)) => Err(Error::input("`max_running` must be at least 1")),
            most => Ok(most.and_then(Result::ok)),
        }
    }

    fn retries(&self) -> Result<Option<u32>, Error> {
        let retries = self.retries.map(u32::try_from).transpose();
        retries.map_err(|_| Error::input(format!("`retries` must be from 0 to {MAX_RETRIES}")))
    }

    fn max_failures(&self) -> Result<Option<u64>, Error> {
        let most = self.max_failures.map(u64::try_from).transpose();
        most.map_err(|_| Error::input("`max_failures` must be at least 0"))
    }
}

/// Sets the command of a task: that of `command`, or the file that `script` names with its arguments.
fn task_command(
    command: Option<&Command>,
    script: Option<&Command>,
    folder: &Path,
    is_plain: bool,
    spec: &mut TaskSpec,
) -> Result<(), Error> {
    match (command, script) {
        (Some(_), Some(_)) => Err(Error::input("`command` and `script` exclude each other")),
        (None, None) => Err(Command::missing()),
        (Some(command), None) => {
            spec.args = command.words()?;
            Ok(())
        }
        (None, Some(line)) => {
            let words = line.words()?;
            let (file, arguments) = words.split_first().ok_or_else(Command::missing)?;
            Script::read(&folder.join(file))?.add_to(spec, arguments, is_plain)
        }
    }
}

impl Need {
    /// The name of the other task, and what has to happen to it.
    fn condition(&self) -> (String, NeedKind) {
        match self {
            Self::Name(name) => (name.clone(), NeedKind::Succeeded),
            Self::Condition(Condition { job, when: When::Succeeded }) => (job.clone(), NeedKind::Succeeded),
            Self::Condition(Condition { job, when: When::Ended }) => (job.clone(), NeedKind::Ended),
        }
    }
}

impl Resource {
    fn download(&self) -> Result<ResourceDownload, Error> {
        let remote_file = match (&self.attachment, self.artifact, self.kind) {
            (Some(key), None, None) => RemoteFile::Attachment { key: key.clone() },
            (None, Some(uuid), Some(content_type)) => RemoteFile::Artifact { uuid, content_type },
            _ => {
                return Err(Error::input(format!("invalid resource `{}`: expected an attachment or an artifact", self.local_path))
                    .with_hint(
                        r#"write {attachment = "KEY", as = "PATH"} or {artifact = "UUID", type = "result", as = "PATH"}"#,
                    ));
            }
        };
        Ok(ResourceDownload { remote_file, local_path: self.local_path.clone() })
    }
}

impl Attachment {
    /// The upload of the file, and the resource by which a task downloads it.
    fn upload_and_resource(
        &self,
        folder: &Path,
        group: &str,
        plain: bool,
    ) -> Result<(Upload, ResourceDownload), Error> {
        let file = folder.join(&self.file);
        let name = match (&self.key, &self.local_path) {
            (Some(_), Some(_)) => String::new(),
            _ => file_name(&file)?.to_owned(),
        };
        let key = attachment_key(self.key.as_ref().unwrap_or(&name)).map_err(Error::input)?;
        if key.is_empty() {
            return Err(Error::input(format!("the attachment {} has no key", file.display()))
                .with_hint(r#"set one, such as key = "data/in.csv""#));
        }
        // Braces in the name of a file are literal, also in a task with parameters.
        let in_task = if plain { key.clone() } else { literal(&key) };
        let local_path = self.local_path.clone().unwrap_or(match plain {
            true => name,
            false => literal(&name),
        });
        let resource = ResourceDownload { remote_file: RemoteFile::Attachment { key: in_task }, local_path };
        Ok((Upload { file, group: group.to_owned(), key }, resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Job, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lines.txt"), "one\ntwo\n").unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("run.sh"), "#!/bin/sh\necho ${1}\n").unwrap();
        std::fs::write(folder.path().join("base.env"), "MODE=file\nJSON='{\"a\": 1}'\n").unwrap();
        let extras = Extras { group: "ann", labels: &["from-here".to_owned()], directory: Some("/home/ann") };
        Job::read(&path, extras).map_err(|error| error.full_message())
    }

    const TOML: &str = r#"
[defaults]
labels = ["exp1"]
timeout = "1h"
lost_after = "2m"
idempotent = true
env = { MODE = "fast", LEVEL = 3 }

[[tasks]]
command = ["train", "--rate", "{rate}", "--seed", "{seed}"]
matrix = { rate = [0.1, 0.01], seed = "1..2" }
tags = ["gpu"]
priority = 5
output = false
attachments = [{ file = "data/in.csv", key = "exp1/in.csv", as = "in.csv" }]

[[tasks]]
command = "echo 'a b' {line}"
group = "lab"
each_line = "lines.txt"
idempotent = false
env = { MODE = "slow" }
resources = [{ attachment = "{line}.bin", as = "{line}.bin" }]
"#;

    #[test]
    fn tasks_override_and_extend_the_defaults() {
        let job = read("job.toml", TOML).unwrap();
        let [first, second] = &job.steps[..] else { panic!("two kinds of tasks") };
        let expansion = first.blueprint.expand().unwrap();
        assert_eq!(expansion.len(), 4);
        let task = expansion.task(1);
        assert_eq!(task.task_spec.args, ["train", "--rate", "0.1", "--seed", "2"]);
        assert_eq!(
            (task.group_name.as_str(), task.priority, task.timeout),
            ("ann", 5, Duration::from_hours(1))
        );
        assert_eq!(task.labels, ["exp1", "from-here"]);
        assert_eq!((&task.task_spec.envs["MODE"][..], &task.task_spec.envs["LEVEL"][..]), ("fast", "3"));
        assert!(!task.task_spec.terminal_output);
        let limits = |spec: &TaskSpec| (spec.lost_after, spec.idempotent);
        let two_minutes = Some(Duration::from_secs(120));
        assert_eq!(limits(&task.task_spec), (two_minutes, true));
        let attachment = RemoteFile::Attachment { key: "exp1/in.csv".into() };
        assert_eq!(task.task_spec.resources[0].remote_file, attachment);
        assert_eq!((job.uploads.len(), &job.uploads[0].key[..]), (1, "exp1/in.csv"));
        assert!(job.uploads[0].file.ends_with("data/in.csv") && job.uploads[0].file.is_absolute());

        let last = second.blueprint.expand().unwrap().task(1);
        assert_eq!(last.task_spec.args, ["echo", "a b", "two"]);
        assert_eq!((last.group_name.as_str(), &last.task_spec.envs["MODE"][..]), ("lab", "slow"));
        assert_eq!(last.task_spec.resources[0].local_path, "two.bin");
        assert_eq!(limits(&last.task_spec), (two_minutes, false));
    }

    #[test]
    fn variables_of_files_are_overridden_and_have_no_placeholders() {
        let text = "[defaults]\nenv_file = 'base.env'\n[[tasks]]\ncommand = 'true'\nenv = {MODE = '{x}'}\n\
                    matrix = {x = '1..2'}\n[[tasks]]\ncommand = 'true'\nenv_file = ['base.env', 'base.env']";
        let job = read("job.toml", text).unwrap();
        let envs = |step: usize| job.steps[step].blueprint.expand().unwrap().task(0).task_spec.envs;
        assert_eq!((&*envs(0)["MODE"], &*envs(0)["JSON"]), ("1", r#"{"a": 1}"#));
        assert_eq!((&*envs(1)["MODE"], &*envs(1)["JSON"]), ("file", r#"{"a": 1}"#));
        let missing = read("job.toml", "[[tasks]]\ncommand = 'true'\nenv_file = 'no.env'").unwrap_err();
        assert!(missing.contains("no.env"), "{missing}");
    }

    #[test]
    fn script_and_input_are_sent_along() {
        let text = "[[tasks]]\nscript = 'run.sh {x}'\nstdin = 'lines.txt'\nmatrix = {x = '1..2'}";
        let job = read("job.toml", text).unwrap();
        let spec = job.steps[0].blueprint.expand().unwrap().task(1).task_spec;
        assert_eq!(spec.args, ["sh", "-c", r#"exec /bin/sh "$MITO_RESOURCE_DIR/$0" "$@""#, "run.sh", "2"]);
        assert_eq!(spec.files["run.sh"], "#!/bin/sh\necho ${1}\n");
        assert_eq!((&spec.files[".stdin"][..], spec.stdin.as_deref()), ("one\ntwo\n", Some(".stdin")));
        assert!(job.uploads.is_empty());
        for (keys, problem) in [
            ("script = 'run.sh'\ncommand = 'true'", "exclude each other"),
            ("script = 'no.sh'", "no.sh"),
            ("script = 'lines.txt'", "neither a job file nor a script"),
            ("command = 'cat'\nstdin = 'missing'", "missing"),
            ("stdin = 'lines.txt'", "no command"),
        ] {
            let error = read("job.toml", &format!("[[tasks]]\n{keys}")).unwrap_err();
            assert!(error.contains(problem), "{keys}: {error}");
        }
        let text = "[defaults]\nscript = 'run.sh'\n[[tasks]]\ncommand = 'true'\n[[tasks]]\nname = 'b'";
        let job = read("job.toml", text).unwrap();
        let args = |step: usize| job.steps[step].blueprint.task.task_spec.args.len();
        assert_eq!((args(0), args(1)), (1, 4));
    }

    #[test]
    fn directory_is_that_of_the_submission_unless_a_key_has_another() {
        let directory = |keys: &str| {
            let text = format!("{keys}\n[[tasks]]\ncommand = 'true'");
            read("job.toml", &text)
                .map(|job| job.steps[0].blueprint.task.task_spec.directory.clone().unwrap())
        };
        let of_task = |keys: &str| {
            let text = format!("[defaults]\nchdir = '/data'\n[[tasks]]\ncommand = 'true'\n{keys}");
            read("job.toml", &text)
                .map(|job| job.steps[0].blueprint.task.task_spec.directory.clone().unwrap())
        };
        assert_eq!(directory("").unwrap(), TaskDirectory::Prefer("/home/ann".into()));
        assert_eq!(of_task("").unwrap(), TaskDirectory::Require("/data".into()));
        assert_eq!(of_task("fresh_dir = true").unwrap(), TaskDirectory::Fresh);
        let Ok(TaskDirectory::Require(below)) = of_task("chdir = './out'") else { panic!("it is required") };
        assert!(below.starts_with('/') && below.ends_with("/out") && !below.contains("/./"), "{below}");
        assert!(of_task("chdir = 'a'\nfresh_dir = true").unwrap_err().contains("exclude each other"));
    }

    #[test]
    fn job_files_in_three_languages_are_equal() {
        let yaml = "
tasks:
  - command: [train, '{rate}', '{seed}']
    matrix: { rate: [0.1, 0.01], seed: 1..2 }
    timeout: 1h
";
        let json = r#"{"tasks": [{"command": ["train", "{rate}", "{seed}"], "timeout": "1h",
            "matrix": {"rate": [0.1, 0.01], "seed": "1..2"}}]}"#;
        let toml = "[[tasks]]\ncommand = ['train', '{rate}', '{seed}']\ntimeout = '1h'\nmatrix = {rate = [0.1, 0.01], seed = '1..2'}";
        let of = |name, text| read(name, text).unwrap().steps;
        assert_eq!(of("job.yaml", yaml), of("job.toml", toml));
        assert_eq!(of("job.json", json), of("job.toml", toml));
        assert_eq!(of("job.yml", yaml), of("job.toml", toml));
    }

    #[test]
    fn unknown_key_is_refused_with_its_line() {
        for (name, text, line) in [
            ("job.toml", "[[tasks]]\ncommand = ['true']\ntimout = '1h'\n", "line 3"),
            ("job.json", "{\"tasks\": [\n{\"command\": [\"true\"],\n\"timout\": \"1h\"}]}", "line 3"),
            ("job.yaml", "tasks:\n  - command: ['true']\n    timout: 1h\n", "3"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(error.contains("timout") && error.contains(line), "{name}: {error}");
        }
        let typo = read("job.toml", "[default]\n[[tasks]]\ncommand = 'true'").unwrap_err();
        assert!(typo.contains("default"), "{typo}");
    }

    #[test]
    fn value_of_the_wrong_type_is_refused_with_its_key() {
        let task = "[[tasks]]\ncommand = 'true'\n";
        for (text, message) in [
            ("tasks = 5".to_owned(), "line 1: `tasks`: expected a list, not a number"),
            ("tasks = '5'".to_owned(), "line 1: `tasks`: expected a list, not text"),
            (
                "defaults = [1]\ntasks = []".to_owned(),
                "`defaults`: expected a table of task settings, not a list",
            ),
            (
                format!("{task}resources = ['in.csv']"),
                "line 3: `resources`: expected a table with `artifact` or `attachment`, not text",
            ),
            (
                format!("{task}attachments = [true]"),
                "`attachments`: expected a table with `file`, not a boolean",
            ),
            (format!("{task}group = ['lab']"), "line 3: `group`: expected text, not a list"),
            (format!("{task}priority = 'high'"), "line 3: `priority`: expected an integer, not `high`"),
            (format!("{task}priority = []"), "line 3: `priority`: expected an integer, not a list"),
        ] {
            let error = read("job.toml", &text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
            assert!(!error.contains("leading zeros"), "{error}");
        }
        let octal = read("job.yaml", "tasks:\n  - command: a\n    priority: 010\n").unwrap_err();
        assert!(octal.contains("invalid integer `010` (leading zeros are not allowed)"), "{octal}");
    }

    #[test]
    fn errors_name_their_task() {
        for (text, words) in [
            ("tasks = []", "no tasks"),
            ("[[tasks]]\nlabels = ['x']", "task 1"),
            ("[[tasks]]\ncommand = 'true'\n[[tasks]]\ncommand = \"a 'b\"", "task 2"),
            ("[[tasks]]\ncommand = 'true'\ntimeout = '1 parsec'", "parsec"),
            ("[[tasks]]\ncommand = 'true'\nmatrix = {x = [1, 2, 3], y = 'a,b'}\nzip = true", "zip"),
            ("[[tasks]]\ncommand = 'true'\nmatrix = {x = {}}", "1..10"),
            ("[[tasks]]\ncommand = 'true'\nresources = [{as = 'x'}]", "expected an attachment"),
            (
                "[[tasks]]\ncommand = 'true'\nattachments = [{file = 'a/x'}, {file = 'b/x'}]",
                "same attachment key",
            ),
        ] {
            let error = read("job.toml", text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(read("job.txt", TOML).unwrap_err().contains(".toml"));
    }

    #[test]
    fn braces_in_file_names_are_literal() {
        let text = "[[tasks]]\ncommand = '{x}'\nmatrix = {x = [1]}\nattachments = [{file = 'a{b}.csv'}]";
        let job = read("job.toml", text).unwrap();
        let task = job.steps[0].blueprint.expand().unwrap().task(0);
        assert_eq!(task.task_spec.resources[0].local_path, "a{b}.csv");
        assert_eq!(job.uploads[0].key, "a{b}.csv");
    }

    #[test]
    fn values_keep_their_spelling() {
        let yaml = "
tasks:
  - command: [run, 012, NO, 1.0]
    labels: [1.10, on]
    env: { BIG: 18446744073709551615, SWITCH: on, CODE: 012, SUM: 1_000, VERSION: 3.10 }
    matrix: { x: [1.0, 1e3, 007, yes], y: 3.10 }
";
        let toml = "[[tasks]]
command = ['run', '012', 'NO', 1.0]
labels = [1.10, 'on']
env = { BIG = 18446744073709551615, SWITCH = 'on', CODE = '012', SUM = 1_000, VERSION = 3.10 }
matrix = { x = [1.0, 1e3, '007', 'yes'], y = 3.10 }";
        let json = r#"{"tasks": [{"command": ["run", "012", "NO", 1.0], "labels": [1.10, "on"],
            "env": {"BIG": 18446744073709551615, "SWITCH": "on", "CODE": "012", "SUM": "1_000", "VERSION": 3.10},
            "matrix": {"x": [1.0, 1e3, "007", "yes"], "y": 3.10}}]}"#;
        for (name, text) in [("job.yaml", yaml), ("job.toml", toml), ("job.json", json)] {
            for mark in ["", "\u{feff}"] {
                let job = read(name, &format!("{mark}{text}")).unwrap();
                let task = |index| job.steps[0].blueprint.expand().unwrap().task(index);
                let first = task(0);
                assert_eq!(first.task_spec.args, ["run", "012", "NO", "1.0"], "{name}");
                assert_eq!(first.labels, ["1.10", "on", "from-here"], "{name}");
                let env = |key: &str| first.task_spec.envs[key].clone();
                assert_eq!(
                    ["BIG", "SWITCH", "CODE", "SUM", "VERSION"].map(env),
                    ["18446744073709551615", "on", "012", "1_000", "3.10"],
                    "{name}"
                );
                let xs: Vec<String> = (0..4).map(|index| task(index).task_spec.params["x"].clone()).collect();
                assert_eq!(xs, ["1.0", "1e3", "007", "yes"], "{name}");
                assert_eq!(first.task_spec.params["y"], "3.10", "{name}");
            }
        }
    }

    #[test]
    fn command_of_several_lines_is_a_script() {
        let block = "tasks:\n  - command: |\n      cd data\n      run {x} ${HOME}\n    matrix: {x: 1..2}\n";
        let job = read("job.yaml", block).unwrap();
        let task = job.steps[0].blueprint.expand().unwrap().task(1);
        assert_eq!(task.task_spec.args, ["sh", "-c", "cd data\nrun 2 ${HOME}\n"]);
        let sleep = read("job.yaml", "tasks:\n  - command: [sleep, 5]\n").unwrap();
        assert_eq!(sleep.steps[0].blueprint.task.task_spec.args, ["sleep", "5"]);
    }

    #[test]
    fn default_group_is_set_after_reading() {
        let text = "[[tasks]]\ncommand = 'a'\nattachments = [{file = 'x'}]\n\
                    [[tasks]]\ncommand = 'b'\ngroup = 'lab'\nattachments = [{file = 'y', key = 'x'}]";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        std::fs::write(&path, text).unwrap();
        let job = |group| {
            Job::read(&path, Extras { group: "", labels: &[], directory: None })
                .unwrap()
                .with_default_group(group)
        };
        let groups: Vec<_> =
            job("ann").unwrap().steps.into_iter().map(|step| step.blueprint.task.group_name).collect();
        assert_eq!(groups, ["ann", "lab"]);
        assert!(job("lab").unwrap_err().to_string().contains("same attachment key"));
    }

    #[test]
    fn steps_are_named_and_need_each_other() {
        let toml = "
defaults = {max_failures = 3}
[[tasks]]
name = 'report'
command = 'report'
needs = ['train', {job = 'prepare', when = 'ended'}]
[[tasks]]
name = 'train'
command = 'train {x}'
matrix = {x = '1..3'}
needs = ['prepare']
max_running = 2
max_failures = 0
retries = 2
retry_on = ['exit=75', 'timeout']
backoff = '5s..5m'
[[tasks]]
name = 'prepare'
command = 'prepare'
";
        let yaml = "
defaults: {max_failures: 3}
tasks:
  - {name: report, command: report, needs: [train, {job: prepare, when: ended}]}
  - {name: train, command: 'train {x}', matrix: {x: 1..3}, needs: [prepare], max_running: 2, max_failures: 0,
    retries: 2, retry_on: [exit=75, timeout], backoff: 5s..5m}
  - {name: prepare, command: prepare}
";
        let job = read("job.toml", toml).unwrap();
        assert_eq!(read("job.yaml", yaml).unwrap().steps, job.steps);
        let named: Vec<_> = job
            .steps
            .iter()
            .map(|step| {
                (step.name.as_ref().unwrap().as_str(), &step.needs[..], step.max_running, step.max_failures)
            })
            .collect();
        let (succeeded, ended) = (NeedKind::Succeeded, NeedKind::Ended);
        assert_eq!(
            named,
            [
                ("prepare", &[][..], None, Some(3)),
                ("train", &[(0, succeeded)], Some(2), Some(0)),
                ("report", &[(0, ended), (1, succeeded)], None, Some(3)),
            ]
        );
        let retry = job.steps[1].retry.as_ref().unwrap();
        let causes: Vec<String> = retry.on.iter().map(ToString::to_string).collect();
        assert_eq!(
            (retry.retries, causes.as_slice()),
            (2, &["exit=75".to_owned(), "timeout".to_owned()][..])
        );
        assert_eq!(retry.max_backoff, Duration::from_mins(5));
        assert_eq!(job.steps[0].retry, None);
        let negative = read("job.toml", "[[tasks]]\ncommand = 'true'\nretries = -1").unwrap_err();
        assert!(negative.contains("`retries` must be from 0 to 1000"), "{negative}");
    }

    #[test]
    fn invalid_needs_are_refused() {
        let task = "[[tasks]]\ncommand = 'true'\n";
        for (more, message) in [
            ("needs = ['x']", "invalid job file"),
            ("name = 'a'\nneeds = ['a']", "the task `a` needs itself"),
            ("name = 'a'\nneeds = [{job = 'a', when = 'started'}]", "expected the name of a task"),
            ("name = 'a'\nneeds = [{jobs = 'a'}]", "expected the name of a task"),
            ("name = 'a b'", "a job name can only contain"),
            ("name = 'last'", "means the newest job"),
            ("max_running = 0", "`max_running` must be at least 1"),
            ("max_failures = -1", "`max_failures` must be at least 0"),
        ] {
            let error = read("job.toml", &format!("{task}{more}")).unwrap_err();
            assert!(error.contains(message), "{more}: {error}");
        }
        let defaults = read("job.toml", &format!("defaults = {{name = 'a'}}\n{task}")).unwrap_err();
        assert!(defaults.contains("not to `defaults`"), "{defaults}");
    }

    #[test]
    fn incomplete_range_is_refused_in_a_job_file() {
        let message = read("job.yaml", "tasks:\n  - command: a\n    matrix: {seed: 1..}\n").unwrap_err();
        assert!(message.contains("`1..`") && message.contains("1..10"), "{message}");
    }
}
