//! `mito worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::text;
use crate::config::{Options, Slots};

/// Options of `mito worker`. Each overrides the key of the configuration with a similar name.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito worker -c http://coordinator:5000 -u ann
  mito worker -c http://coordinator:5000 -u ann --groups lab --tags gpu,eu --slots 4")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct WorkerArgs {
    /// The address of the coordinator, or of several with commas between them
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// A PEM file of certificate authorities to trust at https:// addresses, beside those of the system
    #[arg(long, value_name = "PATH")]
    ca_cert: Option<PathBuf>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// How many tasks to run at once: a number, or `auto` for one per processor [default: 1]
    #[arg(long, value_name = "N|auto")]
    slots: Option<Slots>,
    /// How long to wait before asking an older coordinator again
    #[arg(long, value_parser = text::duration)]
    polling_interval: Option<Duration>,
    /// Longest time between two signs of life
    #[arg(long, value_parser = text::duration)]
    heartbeat_interval: Option<Duration>,
    /// Give its tasks to others when it is not heard of for this long, not only after the coordinator's
    /// heartbeat_timeout; never before it counts as missed
    #[arg(long, value_name = "DURATION", value_parser = text::lost_after)]
    lost_after: Option<Duration>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The user on whose behalf it works
    #[arg(short, long)]
    user: Option<String>,
    /// The user's password; better kept in the config file or in MITO_PASSWORD
    #[arg(short, long)]
    password: Option<String>,
    /// Groups to work for besides the own one: `name` or `name:role`
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    groups: Vec<String>,
    /// What this machine can do; a task runs where all its tags are
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Words by which to find the worker again
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Vec<String>,
    /// Environment variables that commands inherit besides PATH, HOME and the like; NAME* for several; all but secrets
    /// unless given
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pass_env: Vec<String>,
    /// Life of the worker's token
    #[arg(long, value_parser = text::duration)]
    lifetime: Option<Duration>,
    /// Leave the user's other sessions alone when logging in, which is what happens anyway
    #[arg(long, overrides_with = "no_retain")]
    retain: bool,
    /// End the user's other sessions when logging in
    #[arg(long, overrides_with = "retain")]
    no_retain: bool,
    /// Do without Redis
    #[arg(long)]
    skip_redis: bool,
    /// Enable logging to file
    #[arg(long)]
    file_log: bool,
    /// Log to one file together with the other workers of this machine
    #[arg(long)]
    shared_log: bool,
    /// The log file path
    #[arg(long)]
    log_path: Option<PathBuf>,
}

impl WorkerArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("ca_cert", self.ca_cert.as_ref())
            .slots("slots", self.slots)
            .duration("polling_interval", self.polling_interval)
            .duration("heartbeat_interval", self.heartbeat_interval)
            .duration("lost_after", self.lost_after)
            .path("credential_path", self.credential_path.as_ref())
            .text("user", self.user.as_ref())
            .text("password", self.password.as_ref())
            .words("groups", &text::given(&self.groups))
            .words("tags", &text::given(&self.tags))
            .words("labels", &text::given(&self.labels))
            .words("pass_env", &text::given(&self.pass_env))
            .duration("lifetime", self.lifetime)
            .flag("retain", self.retain)
            .no_flag("retain", self.no_retain)
            .flag("skip_redis", self.skip_redis)
            .flag("file_log", self.file_log)
            .flag("shared_log", self.shared_log)
            .path("log_path", self.log_path.as_ref())
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
    fn a_list_option_may_be_empty() {
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
