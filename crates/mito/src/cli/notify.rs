//! Notifications at the end: options of commands that submit jobs or wait for them.

use clap::{Args, ValueEnum};
use mitosis_domain::notify::Receiver;
use mitosis_protocol::notify::{Notify, NotifyOn};

/// Requests of the coordinator.
#[derive(Debug, Args)]
#[command(next_help_heading = "When the job ends")]
pub(crate) struct NotifyArgs {
    /// Send a signed request to this URL; repeat for more. The administrator has to allow the receiver
    #[arg(long, value_name = "URL", value_parser = receiver)]
    notify: Vec<String>,
    /// Send it at every end, or only if not all tasks have succeeded
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::End)]
    notify_on: When,
}

/// A command on this machine.
#[derive(Debug, Default, Args)]
pub(crate) struct NotifyCommandArgs {
    /// Run this shell command here at the end; $MITO_STATE and other variables have the outcome
    #[arg(long, value_name = "COMMAND")]
    pub(crate) notify_command: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    End,
    Failure,
}

impl NotifyArgs {
    /// The notifications of a job.
    pub(crate) fn notify(&self) -> Vec<Notify> {
        let on = match self.notify_on {
            When::End => NotifyOn::End,
            When::Failure => NotifyOn::Failure,
        };
        self.notify.iter().map(|url| Notify { url: url.clone(), on }).collect()
    }
}

/// Checks the URL of a receiver.
fn receiver(text: &str) -> Result<String, String> {
    match Receiver::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
