//! `mito worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mitosis_protocol::Cpus;

use super::value_parsers;
use crate::config::{Options, Size, Slots, keys};

/// Options of `mito worker`. Each overrides the key of the configuration with a similar name.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito worker -c http://coordinator:5000 -u ann
  mito worker -c http://coordinator:5000 -u ann --groups lab --tags gpu,eu --slots 4
  mito worker -c http://coordinator:5000 -u ann --cpus 16 --memory 60GiB --gpus 2 --resource licence=4")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct WorkerArgs {
    /// Address of the coordinator, or a comma-separated list
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// PEM file of certificate authorities to trust in addition to those of the system
    #[arg(long, value_name = "PATH")]
    ca_cert: Option<PathBuf>,
    /// Path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Number of slots: tasks of one CPU to run at once, or `auto` for one per CPU [default: 1, which has the whole machine]
    #[arg(long, value_name = "N|auto")]
    slots: Option<Slots>,
    /// Number of CPUs that the tasks share; fractions are allowed (default: the CPUs of this machine)
    #[arg(long, value_name = "N", conflicts_with = "slots")]
    cpus: Option<Cpus>,
    /// Memory that the tasks share (default: that of this machine)
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// GPUs of the tasks: a number, with a model if it can't be detected, or indices such as [0,2] (default: those of this
    /// machine). Tasks then see only GPUs that they request
    #[arg(long, value_name = "N[:MODEL]|INDICES")]
    gpus: Option<String>,
    /// Another resource of the tasks, as a number or with indices: licence=2 or disk=[sda,sdb]; repeat for more
    #[arg(long = "resource", value_name = "NAME=N")]
    resource: Vec<String>,
    /// Polling interval with a mito 0.6 coordinator
    #[arg(long, value_parser = value_parsers::duration)]
    polling_interval: Option<Duration>,
    /// Heartbeat interval
    #[arg(long, value_parser = value_parsers::duration)]
    heartbeat_interval: Option<Duration>,
    /// Requeue the tasks of this worker when it has been silent for this long, but not before it counts as missed
    /// (default: the coordinator's heartbeat_timeout)
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::lost_after)]
    lost_after: Option<Duration>,
    /// File of stored tokens
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// User to log in as
    #[arg(short, long)]
    user: Option<String>,
    /// The user's password; prefer the config file or MITO_PASSWORD
    #[arg(short, long)]
    password: Option<String>,
    /// Additional groups to serve: `name` or `name:role`
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    groups: Vec<String>,
    /// Tags of this worker; it runs only tasks whose tags it has
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Labels to find the worker by
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Vec<String>,
    /// Environment variables that commands inherit, besides basic ones such as PATH and HOME; NAME* matches several
    /// (default: all except secrets)
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pass_env: Vec<String>,
    /// How much to keep of each output stream of a task [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    output_limit: Option<Size>,
    /// Stop a task that writes more, instead of omitting the middle of its output
    #[arg(long)]
    stop_at_output_limit: bool,
    /// How many bytes of inputs to keep for tasks that share them; 0 keeps none [default: 10GiB]
    #[arg(long, value_name = "SIZE")]
    input_cache: Option<Size>,
    /// Isolation of tasks: `auto` and `cgroup` let them gain no privileges and give each a control group, `auto` only if the
    /// machine delegates one; with `none` they may use sudo [default: auto]
    #[arg(long, value_name = "LEVEL", value_parser = ["auto", "none", "cgroup"], hide_possible_values = true)]
    isolation: Option<String>,
    /// At the first SIGTERM or Ctrl-C: `requeue` stops the tasks, `finish` lets them end [default: requeue]
    #[arg(long, value_name = "POLICY", value_parser = ["requeue", "finish"], hide_possible_values = true)]
    on_term: Option<String>,
    /// How long `--on-term finish` waits; then the tasks are stopped and requeued
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    on_term_limit: Option<Duration>,
    /// Do not start tasks in the directory where they were submitted, nor in that of --chdir
    #[arg(long)]
    fresh_directories_only: bool,
    /// Lifetime of the worker; it gets only tasks whose time request, or else their timeout, fits into the rest of it
    #[arg(long, value_parser = value_parsers::duration)]
    lifetime: Option<Duration>,
    /// Keep the user's other sessions when logging in (default)
    #[arg(long, overrides_with = "no_retain")]
    retain: bool,
    /// End the user's other sessions when logging in
    #[arg(long, overrides_with = "retain")]
    no_retain: bool,
    /// Do not use Redis
    #[arg(long)]
    skip_redis: bool,
    /// Log to a file
    #[arg(long)]
    file_log: bool,
    /// Log to one file that all workers of this machine share
    #[arg(long)]
    shared_log: bool,
    /// Path of the log file
    #[arg(long)]
    log_path: Option<PathBuf>,
}

impl WorkerArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .set(keys::COORDINATOR_ADDR, self.coordinator.clone())
            .set(keys::CA_CERT, self.ca_cert.clone())
            .set(keys::SLOTS, self.slots)
            .set(keys::CPUS, self.cpus.map(|cpus| cpus.to_string()))
            .set(keys::MEMORY, self.memory)
            .set(keys::GPUS, self.gpus.clone())
            .words(keys::RESOURCE, &self.resource)
            .set(keys::POLLING_INTERVAL, self.polling_interval)
            .set(keys::HEARTBEAT_INTERVAL, self.heartbeat_interval)
            .set(keys::LOST_AFTER, self.lost_after)
            .set(keys::CREDENTIAL_PATH, self.credential_path.clone())
            .set(keys::USER, self.user.clone())
            .set(keys::PASSWORD, self.password.clone().map(Into::into))
            .words(keys::GROUPS, &value_parsers::non_empty(&self.groups))
            .words(keys::TAGS, &value_parsers::non_empty(&self.tags))
            .words(keys::LABELS, &value_parsers::non_empty(&self.labels))
            .words(keys::PASS_ENV, &value_parsers::non_empty(&self.pass_env))
            .set(keys::OUTPUT_LIMIT, self.output_limit)
            .set(keys::INPUT_CACHE, self.input_cache)
            .flag(keys::STOP_AT_OUTPUT_LIMIT, self.stop_at_output_limit)
            .set(keys::ISOLATION, self.isolation.clone())
            .set(keys::ON_TERM, self.on_term.clone())
            .set(keys::ON_TERM_LIMIT, self.on_term_limit)
            .flag(keys::FRESH_DIRECTORIES_ONLY, self.fresh_directories_only)
            .set(keys::LIFETIME, self.lifetime)
            .flag(keys::RETAIN, self.retain)
            .no_flag(keys::RETAIN, self.no_retain)
            .flag(keys::SKIP_REDIS, self.skip_redis)
            .flag(keys::FILE_LOG, self.file_log)
            .flag(keys::SHARED_LOG, self.shared_log)
            .set(keys::LOG_PATH, self.log_path.clone())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: WorkerArgs,
    }

    #[test]
    fn list_option_may_be_empty() {
        let options = |words: &[&str]| {
            format!("{:?}", Line::try_parse_from([&["x"], words].concat()).unwrap().args.options())
        };
        for option in ["-t", "-l", "-g"] {
            assert_eq!(options(&[option]), options(&[]), "{option} $EMPTY");
            assert_eq!(options(&[option, ""]), options(&[]), "{option} ''");
        }
    }

    #[test]
    fn slots_are_a_number_or_auto() {
        for right in ["1", "64", "auto"] {
            assert!(Line::try_parse_from(["x", "--slots", right]).is_ok(), "{right}");
        }
        for wrong in ["-1", "all", "1.5", ""] {
            assert!(Line::try_parse_from(["x", "--slots", wrong]).is_err(), "{wrong}");
        }
    }
}
