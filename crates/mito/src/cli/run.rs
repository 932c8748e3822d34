//! `mito run`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::notify::{NotifyArgs, NotifyCommandArgs};
use super::sweep::SweepArgs;
use super::task::TaskArgs;
use crate::show::OutputArgs;

/// Options of `mito run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito run -- make test
  mito run -t gpu -e SEED=4 --timeout 2h -- python3 train.py
  mito run -F x=1..8 -- sh -c 'sleep 1; echo {x}'
  mito run --local -- echo hello              without a coordinator")]
pub(crate) struct RunArgs {
    /// Start a temporary coordinator and worker for this command
    #[arg(long, conflicts_with_all = ["coordinator", "user", "group", "tags", "resources", "secrets", "notify"])]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Print only the output of the tasks, and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The command and its arguments, run without a shell
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) notify_command: NotifyCommandArgs,
    // Last: the headings of their options are those of all that follow.
    #[command(flatten)]
    pub(crate) notify: NotifyArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
}

impl RunArgs {
    /// How messages are written; there are no results but what tasks write.
    pub(crate) fn output(&self) -> OutputArgs {
        OutputArgs { quiet: self.quiet, ..OutputArgs::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    fn command(line: &str) -> Result<Vec<String>, String> {
        match Cli::try_parse_from(line.split(' ')) {
            Ok(Cli { command: Command::Run(args) }) => Ok(args.command),
            Ok(_) => panic!("it is `run`"),
            Err(error) => Err(crate::process::failure::Failure::usage(&error, None).to_string()),
        }
    }

    #[test]
    fn misspelt_option_is_refused_and_not_run() {
        for (line, nearest) in [
            ("mito run --tag gpu -- echo hi", "--tags"),
            ("mito run --bogus x", ""),
            ("mito run -o json -- true", ""),
            ("mito run -z -- echo hi", ""),
        ] {
            let message = command(line).unwrap_err();
            assert!(
                message.contains("unexpected argument") && message.contains(nearest),
                "{line}: {message}"
            );
        }
    }

    #[test]
    fn options_after_the_command_belong_to_it() {
        for (line, words) in [
            ("mito run ls -l --bogus", "ls -l --bogus"),
            ("mito run -t gpu ls -t", "ls -t"),
            ("mito run -- --odd -x", "--odd -x"),
            ("mito run -- make -- all", "make -- all"),
        ] {
            assert_eq!(command(line).unwrap().join(" "), words, "{line}");
        }
    }
}
