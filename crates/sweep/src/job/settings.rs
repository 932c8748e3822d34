//! The settings of tasks in a job file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_blueprint::{Column, Factor, Plan, Values, literal};
use mitosis_domain::resources::{InvalidText, parse_gpus, parse_size};
use mitosis_domain::selector::JobName;
use mitosis_protocol::job::NeedKind;
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::notify::{Notify, NotifyOn};
use mitosis_protocol::retry::{MAX_RETRIES, RetryCause};
use mitosis_protocol::stop::StopSignal;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, TaskDirectory};
use mitosis_protocol::{ArtifactKind, Cpus, ResourceRequest, TaskSpec, Uuid};
use serde::Deserialize;

use super::Upload;
use super::fetched::Fetched;
use crate::attachment_key::{attachment_key, file_name};
use crate::command::Command;
use crate::directory::absolute_directory;
use crate::env_file::env_file;
use crate::error::Error;
use crate::parameter_files::{self, Combine};
use crate::retries::Backoff;
use crate::script::Script;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `tasks`")]
pub(super) struct JobFile {
    #[serde(default)]
    pub(super) defaults: Task,
    pub(super) tasks: Vec<Task>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table of task settings")]
pub(super) struct Task {
    pub(super) name: Option<JobName>,
    pub(super) needs: Vec<Need>,
    pub(super) command: Option<Command>,
    pub(super) script: Option<Command>,
    pub(super) stdin: Option<PathBuf>,
    pub(super) group: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) labels: Vec<String>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    pub(super) timeout: Option<Duration>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    pub(super) lost_after: Option<Duration>,
    pub(super) idempotent: Option<bool>,
    pub(super) stop_signal: Option<StopSignal>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    pub(super) stop_grace: Option<Duration>,
    cpus: Option<Cpus>,
    memory: Option<String>,
    gpus: Option<String>,
    units: BTreeMap<String, u64>,
    #[serde(with = "mitosis_protocol::duration::optional_text")]
    time_request: Option<Duration>,
    pub(super) priority: Option<i32>,
    max_running: Option<i64>,
    max_failures: Option<i64>,
    retries: Option<i64>,
    pub(super) retry_on: Vec<RetryCause>,
    pub(super) backoff: Option<Backoff>,
    limits: BTreeMap<String, i64>,
    notify: Option<Urls>,
    notify_on: Option<NotifyOn>,
    #[serde(alias = "terminal")]
    pub(super) output: Option<bool>,
    env: BTreeMap<String, String>,
    env_file: Option<Files>,
    secrets: Secrets,
    chdir: Option<PathBuf>,
    fresh_dir: Option<bool>,
    matrix: BTreeMap<String, Choices>,
    zip: Option<bool>,
    each_line: Option<PathBuf>,
    from_csv: Option<PathBuf>,
    pub(super) resources: Vec<Resource>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) upload: Vec<PathBuf>,
}

/// Another task of the file that has to end first.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a task, {NAME = \"each\"}, or {job = \"NAME\", when = \"succeeded\", \"ended\" or \"each\"}"
)]
pub(super) enum Need {
    Name(String),
    Condition(Condition),
    /// One name with its condition.
    Short(BTreeMap<String, When>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    job: String,
    #[serde(default)]
    when: When,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum When {
    #[default]
    Succeeded,
    Ended,
    Each,
}

impl From<When> for NeedKind {
    fn from(when: When) -> Self {
        match when {
            When::Succeeded => Self::Succeeded,
            When::Ended => Self::Ended,
            When::Each => Self::Each,
        }
    }
}

/// Secrets by name, or by the names of their variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a list of names, or a table with names by variable")]
enum Secrets {
    Names(Vec<String>),
    ByVariable(BTreeMap<String, String>),
}

impl Default for Secrets {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

impl Secrets {
    fn by_variable(self) -> BTreeMap<String, String> {
        match self {
            Self::Names(names) => names.into_iter().map(|name| (name.clone(), name)).collect(),
            Self::ByVariable(names) => names,
        }
    }

    /// Both; of two secrets for the same variable, the other one counts.
    fn and(self, other: Self) -> Self {
        Self::ByVariable(self.by_variable().into_iter().chain(other.by_variable()).collect())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected the path of a file, or a list of paths")]
enum Files {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected a URL, or a list of URLs")]
enum Urls {
    One(String),
    Many(Vec<String>),
}

impl fmt::Debug for Urls {
    /// A URL may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Urls")
    }
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
pub(super) struct Resource {
    attachment: Option<String>,
    /// A UUID, or with `from` the kind of the artifact.
    artifact: Option<String>,
    /// Another task of the file.
    pub(super) from: Option<String>,
    #[serde(rename = "type")]
    kind: Option<ArtifactKind>,
    #[serde(rename = "as", alias = "path")]
    local_path: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `file`")]
pub(super) struct Attachment {
    file: PathBuf,
    key: Option<String>,
    #[serde(rename = "as")]
    local_path: Option<String>,
}

impl Task {
    /// What the task requests of its worker.
    pub(super) fn request(&self) -> Result<ResourceRequest, Error> {
        let invalid = |error: InvalidText| Error::input(error.to_string());
        let memory = self.memory.as_deref().map_or(Ok(0), parse_size).map_err(invalid)?;
        let (gpus, gpu_model) = self.gpus.as_deref().map_or(Ok((0, None)), parse_gpus).map_err(invalid)?;
        Ok(ResourceRequest {
            cpus: self.cpus.unwrap_or(Cpus::ONE),
            memory,
            gpus,
            gpu_model,
            named: self.units.clone(),
            time: self.time_request,
        })
    }

    /// Combines a task with the defaults: lists and tables are joined, other values override the default.
    pub(super) fn over(self, defaults: Self) -> Self {
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
            stop_signal: self.stop_signal.or(defaults.stop_signal),
            stop_grace: self.stop_grace.or(defaults.stop_grace),
            cpus: self.cpus.or(defaults.cpus),
            memory: self.memory.or(defaults.memory),
            gpus: self.gpus.or(defaults.gpus),
            units: defaults.units.into_iter().chain(self.units).collect(),
            time_request: self.time_request.or(defaults.time_request),
            priority: self.priority.or(defaults.priority),
            max_running: self.max_running.or(defaults.max_running),
            max_failures: self.max_failures.or(defaults.max_failures),
            retries: self.retries.or(defaults.retries),
            retry_on: if self.retry_on.is_empty() { defaults.retry_on } else { self.retry_on },
            backoff: self.backoff.or(defaults.backoff),
            notify: self.notify.or(defaults.notify),
            notify_on: self.notify_on.or(defaults.notify_on),
            limits: defaults.limits.into_iter().chain(self.limits).collect(),
            output: self.output.or(defaults.output),
            env_file: self.env_file.or(defaults.env_file),
            secrets: defaults.secrets.and(self.secrets),
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
            upload: joined(defaults.upload, self.upload),
        }
    }

    /// The artifacts of other tasks of the file.
    pub(super) fn fetched(&self) -> Result<Vec<Fetched>, Error> {
        self.resources.iter().filter_map(|resource| resource.fetched().transpose()).collect()
    }

    /// The parameters: lines, then CSV rows, then the matrix in the order of its names.
    pub(super) fn plan(&self, folder: &Path) -> Result<Plan, Error> {
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
    pub(super) fn variables(&self, folder: &Path, is_plain: bool) -> Result<BTreeMap<String, String>, Error> {
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

    /// The secrets, by the names of their variables.
    pub(super) fn secrets(&self) -> BTreeMap<String, String> {
        self.secrets.clone().by_variable()
    }

    /// The directory in which the task starts. A relative `chdir` begins at the directory of the job file.
    pub(super) fn directory(&self, folder: &Path, current: Option<&str>) -> Result<TaskDirectory, Error> {
        match (&self.chdir, self.fresh_dir, current) {
            (Some(_), Some(true), _) => Err(Error::input("`chdir` and `fresh_dir` exclude each other")),
            (Some(directory), _, current) => {
                absolute_directory(current, &folder.join(directory)).map(TaskDirectory::Require)
            }
            (None, Some(true), _) | (None, _, None) => Ok(TaskDirectory::Fresh),
            (None, _, Some(current)) => Ok(TaskDirectory::Prefer(current.to_owned())),
        }
    }

    pub(super) fn notifications(&self) -> Vec<Notify> {
        let urls = match &self.notify {
            None => &[][..],
            Some(Urls::One(url)) => std::slice::from_ref(url),
            Some(Urls::Many(urls)) => urls,
        };
        let on = self.notify_on.unwrap_or_default();
        urls.iter().map(|url| Notify { url: url.clone(), on }).collect()
    }

    pub(super) fn max_running(&self) -> Result<Option<u64>, Error> {
        match self.max_running.map(u64::try_from) {
            Some(Ok(0) | Err(_)) => Err(Error::input("`max_running` must be at least 1")),
            most => Ok(most.and_then(Result::ok)),
        }
    }

    pub(super) fn limits(&self) -> Result<Vec<LimitUse>, Error> {
        let limits = self.limits.iter().map(|(name, uses)| match u64::try_from(*uses) {
            Ok(0) | Err(_) => Err(Error::input(format!("limit `{name}`: expected a number of at least 1"))),
            Ok(uses) => Ok(LimitUse { name: name.clone(), uses }),
        });
        limits.collect()
    }

    pub(super) fn retries(&self) -> Result<Option<u32>, Error> {
        let retries = self.retries.map(u32::try_from).transpose();
        retries.map_err(|_| Error::input(format!("`retries` must be from 0 to {MAX_RETRIES}")))
    }

    pub(super) fn max_failures(&self) -> Result<Option<u64>, Error> {
        let most = self.max_failures.map(u64::try_from).transpose();
        most.map_err(|_| Error::input("`max_failures` must be at least 0"))
    }
}

/// Sets the command of a task: that of `command`, or the file that `script` names with its arguments.
pub(super) fn task_command(
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
    /// The names of other tasks, and what has to happen to each.
    pub(super) fn conditions(&self) -> Vec<(String, NeedKind)> {
        match self {
            Self::Name(name) => vec![(name.clone(), NeedKind::Succeeded)],
            Self::Condition(Condition { job, when }) => vec![(job.clone(), (*when).into())],
            Self::Short(names) => names.iter().map(|(name, when)| (name.clone(), (*when).into())).collect(),
        }
    }
}

impl Resource {
    /// The artifact of another task of the file; none if the resource is stored already.
    fn fetched(&self) -> Result<Option<Fetched>, Error> {
        let Some(from) = &self.from else { return Ok(None) };
        let (None, Some(kind), None) = (&self.attachment, &self.artifact, self.kind) else {
            return Err(Error::input(format!("invalid resource `{}` from `{from}`", self.local_path))
                .with_hint(r#"write {from = "NAME", artifact = "result", path = "PATH"}"#));
        };
        let content_type = kind.parse::<ArtifactKind>().map_err(|error| Error::input(error.to_string()))?;
        Ok(Some(Fetched { from: from.clone(), content_type, local_path: self.local_path.clone() }))
    }

    pub(super) fn download(&self) -> Result<ResourceDownload, Error> {
        let remote_file = match (&self.attachment, &self.artifact, self.kind) {
            (Some(key), None, None) => RemoteFile::Attachment { key: key.clone() },
            (None, Some(uuid), Some(content_type)) => {
                let uuid: Uuid =
                    uuid.parse().map_err(|_| Error::input(format!("invalid task UUID `{uuid}`")))?;
                RemoteFile::Artifact { uuid, content_type }
            }
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
    pub(super) fn upload_and_resource(
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
