//! Options of a task, shared by `mito run` and `mito submit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mitosis_domain::selector::JobSelector;
use mitosis_protocol::stop::StopSignal;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskRequest};
use mitosis_protocol::{ArtifactKind, Cpus, ResourceRequest, TaskSpec};

use super::value_parsers;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Group of the task (default: the configured `group`, or your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Tags that the worker must have
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    tags: Vec<String>,
    /// Labels to find the task by
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
    /// Time limit of the command
    #[arg(long, default_value = "24h", value_parser = value_parsers::duration)]
    timeout: Duration,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    loss: LossArgs,
    #[command(flatten)]
    stop: StoppingArgs,
    /// Priority: higher runs first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = value_parsers::priority)]
    priority: i32,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// File to download first: artifact=UUID:TYPE:LOCAL_PATH, attachment=KEY:LOCAL_PATH, attachment=DIR/:LOCAL_DIR/, or
    /// job=JOB:TYPE:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", value_parser = value_parsers::file_of_task)]
    resources: Vec<TaskFile>,
    /// File or directory of this machine to send along, under its name in $MITO_RESOURCE_DIR; repeat for more
    #[arg(long, value_name = "PATH")]
    pub(crate) upload: Vec<PathBuf>,
}

/// A file that a task downloads before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskFile {
    /// An attachment, or an artifact of a known task.
    Stored(ResourceDownload),
    /// An artifact of a job that the task needs.
    OfJob(JobArtifact),
    /// All attachments whose keys have the same beginning.
    Folder(StoredFolder),
}

/// Attachments that a task fetches as a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFolder {
    /// The beginning of the keys, with a slash at the end.
    pub(crate) prefix: String,
    /// The directory, with a slash at the end; empty for the resource directory itself.
    pub(crate) local_path: String,
}

/// An artifact of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobArtifact {
    pub(crate) job: JobSelector,
    pub(crate) content_type: ArtifactKind,
    pub(crate) local_path: String,
}

/// What the task requests of its worker.
#[derive(Debug, Default, Args)]
pub(crate) struct RequestArgs {
    /// Number of CPUs of the worker that the task uses; fractions are allowed [default: 1]
    #[arg(long, value_name = "N")]
    cpus: Option<Cpus>,
    /// Memory that the task uses, such as 4GiB
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::size)]
    memory: Option<u64>,
    /// Number of GPUs that the task uses, and a part of the name of their model
    #[arg(long, value_name = "N[:MODEL]", value_parser = value_parsers::gpus)]
    gpus: Option<(u32, Option<String>)>,
    /// Units that the task uses of a resource that its worker offers; repeat for more
    #[arg(long = "resource", value_name = "NAME=N", value_parser = value_parsers::named_resource)]
    resource: Vec<(String, u64)>,
    /// How long the task will run, for workers whose lifetime is limited (default: its timeout)
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    time_request: Option<Duration>,
}

impl RequestArgs {
    /// The request; that of one CPU without options.
    pub(crate) fn request(&self) -> ResourceRequest {
        let (gpus, gpu_model) = self.gpus.clone().unwrap_or_default();
        ResourceRequest {
            cpus: self.cpus.unwrap_or(Cpus::ONE),
            memory: self.memory.unwrap_or(0),
            gpus,
            gpu_model,
            named: self.resource.iter().cloned().collect(),
            time: self.time_request,
        }
    }
}

/// When a task is requeued because its worker is silent.
#[derive(Debug, Args)]
pub(crate) struct LossArgs {
    /// Requeue the task when its worker has been silent for this long, but not before the worker counts as missed
    /// (default: the limit of the worker)
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::lost_after)]
    pub(crate) lost_after: Option<Duration>,
    /// The task may run twice at the same time: requeue it as soon as its worker counts as missed
    #[arg(long)]
    pub(crate) idempotent: bool,
}

/// How the command is stopped.
#[derive(Debug, Args)]
pub(crate) struct StoppingArgs {
    /// Signal that asks the command to end, at its timeout or for a user: HUP, INT, QUIT, KILL, USR1, USR2 or TERM
    /// (default: TERM)
    #[arg(long, value_name = "SIGNAL", value_parser = value_parsers::stop_signal)]
    pub(crate) stop_signal: Option<StopSignal>,
    /// Time between that signal and SIGKILL, at most 1h (default: 10s)
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::stop_grace)]
    pub(crate) stop_grace: Option<Duration>,
}

/// The environment variables of the command.
#[derive(Debug, Default, Args)]
pub(crate) struct VariableArgs {
    /// Environment variable of the command; repeat for more
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = value_parsers::variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Variable of the current environment to pass to the command; repeat for more, or separate them by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = value_parsers::variable_name)]
    pub(crate) export: Vec<String>,
    /// Secret of the group to pass to the command, as a variable of the same name or of another one; repeat for more
    #[arg(long = "secret", value_name = "[VARIABLE=]NAME", value_parser = value_parsers::secret)]
    pub(crate) secrets: Vec<(String, String)>,
    /// File with a variable NAME=VALUE on each line; --export and --env override it. Repeat for more
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
}

/// Where the command starts, and its standard input.
#[derive(Debug, Default, Args)]
pub(crate) struct PlaceArgs {
    /// Start the command in this directory of the worker; without it, the task is cancelled (default: the current
    /// directory if the worker has it, otherwise a fresh one)
    #[arg(long, value_name = "DIR", overrides_with = "fresh_dir")]
    pub(crate) chdir: Option<PathBuf>,
    /// Start the command in a fresh directory
    #[arg(long, overrides_with = "chdir")]
    pub(crate) fresh_dir: bool,
    /// File to send to the command as its standard input; `-` sends that of this command
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
}

impl TaskArgs {
    fn stored_files(&self) -> Vec<ResourceDownload> {
        let stored = self.resources.iter().filter_map(|file| match file {
            TaskFile::Stored(file) => Some(file.clone()),
            TaskFile::OfJob(_) | TaskFile::Folder(_) => None,
        });
        stored.collect()
    }

    /// The artifacts of other jobs.
    pub(crate) fn job_artifacts(&self) -> Vec<&JobArtifact> {
        let of_jobs = self.resources.iter().filter_map(|file| match file {
            TaskFile::OfJob(artifact) => Some(artifact),
            TaskFile::Stored(_) | TaskFile::Folder(_) => None,
        });
        of_jobs.collect()
    }

    /// The directories of attachments.
    pub(crate) fn folders(&self) -> Vec<&StoredFolder> {
        let folders = self.resources.iter().filter_map(|file| match file {
            TaskFile::Folder(folder) => Some(folder),
            TaskFile::Stored(_) | TaskFile::OfJob(_) => None,
        });
        folders.collect()
    }

    /// Refuses artifacts of other jobs, for commands whose job can't need others.
    pub(crate) fn check_independent(&self) -> Result<(), Failure> {
        match self.job_artifacts().is_empty() {
            true => Ok(()),
            false => Err(Failure::new(Exit::Usage, "only `mito submit` accepts --resources job=…")
                .with_hint("write artifact=UUID:TYPE:LOCAL_PATH for an artifact of a task that has ended")),
        }
    }

    /// A task that keeps its output, still without what it runs, its directory, variables and input. The group is empty if
    /// there is no option for it.
    pub(crate) fn task(&self) -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: self.group.clone().unwrap_or_default(),
            tags: value_parsers::non_empty(&self.tags),
            labels: value_parsers::non_empty(&self.labels),
            timeout: self.timeout,
            priority: self.priority,
            task_spec: TaskSpec {
                resources: self.stored_files(),
                terminal_output: true,
                lost_after: self.loss.lost_after,
                idempotent: self.loss.idempotent,
                stop_signal: self.stop.stop_signal,
                stop_grace: self.stop.stop_grace,
                request: self.request.request(),
                ..TaskSpec::default()
            },
        }
    }
}
