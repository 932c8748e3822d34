//! The output of commands: results on standard output in the selected format, messages on standard error, progress on
//! a terminal.
//!
//! A [`record::Record`] declares its fields once; [`Output`] writes it as a table, as lines, or for programs. Text of
//! other users is never written to a terminal without [`text::escaped`].

mod account;
mod artifact;
mod attachment;
mod audit;
mod batch_summary;
mod count;
mod dynamic_columns;
mod explanation;
mod format;
mod group;
mod instance;
mod job;
mod job_outcome;
mod job_task;
mod limit;
mod managed_worker;
mod notify_key;
mod outcome;
mod output;
mod progress;
mod quota;
pub(crate) mod record;
pub(crate) mod redraw;
mod result;
mod retried_task;
pub(crate) mod rows;
mod schedule;
mod secret;
mod setting;
mod site;
pub(crate) mod style;
mod table;
mod task;
mod task_change;
mod task_document;
pub(crate) mod text;
mod token;
mod top;
mod transfer;
mod worker;
mod yaml;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::io::{self, Write as _};

pub(crate) use account::{Membership, Whoami};
pub(crate) use attachment::AttachmentAt;
pub(crate) use batch_summary::BatchOutcome;
pub(crate) use count::Count;
pub(crate) use format::{Format, OutputArgs};
pub(crate) use instance::InstanceShown;
#[cfg(test)]
pub(crate) use job::example_job;
pub(crate) use job::{JobDetail, JobShown, SubmittedShown, reason, title};
pub(crate) use job_outcome::{CancelOutcome, ChangeOutcome, RemovalOutcome, RetryOutcome};
pub(crate) use job_task::{JobTaskShown, TaskDetail, TaskOfJob, describe_attempt_end};
pub(crate) use managed_worker::managed_workers;
pub(crate) use output::Output;
pub(crate) use progress::Progress;
pub(crate) use quota::{GroupQuota, StorageQuota};
pub(crate) use result::ResultShown;
pub(crate) use retried_task::Retried;
pub(crate) use schedule::{ScheduleDetail, ScheduleRemoved, ScheduleRunShown, ScheduleShown};
pub(crate) use setting::Setting;
pub(crate) use site::{SiteGroup, SiteUser, SiteWorkerShown, UsageShown};
pub(crate) use task::{Submitted, TaskShown, directory_text};
pub(crate) use task_change::TaskChange;
pub(crate) use text::{bytes, escaped, pluralized, words};
pub(crate) use token::TokenMade;
pub(crate) use top::{TopShown, TopTotals};
pub(crate) use transfer::{Fetched, Link};
pub(crate) use worker::WorkerShown;

use crate::process::failure::Failure;

/// Writes a line to standard output. A closed pipe ends the command quietly.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(cant_write)
}

/// Writes a line to standard error; see `note!`.
pub(crate) fn note(words: fmt::Arguments<'_>) {
    // One write, so that lines of several processes are not mixed.
    let line = format!("{words}\n");
    drop(io::stderr().lock().write_all(line.as_bytes()));
}

fn cant_write(error: io::Error) -> Failure {
    Failure::io("cannot write to standard output", error)
}
