//! `mito ls`: lists jobs, or tasks of jobs.

mod job_list;
mod task_list;
mod watch;

use std::process::ExitCode;

use self::job_list::JobList;
use self::task_list::TaskList;
use super::select_jobs;
use crate::cli::ls::LsArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, pluralized};

/// The most tasks that a terminal shows without `--limit`.
const MAX_TASKS_SHOWN: u64 = 1_000;

pub(super) async fn run(args: &LsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito ls`").await?;
    if args.selectors.is_empty() {
        let list = JobList::new(args, &identity.name);
        match args.watch {
            true => watch::jobs(&list, &identity.client, &out).await?,
            false => out.all(&list.read(&identity.client).await?)?,
        }
    } else {
        let targets = select_jobs::targets(&args.selectors, &identity).await?;
        let list = TaskList::new(targets, args.params.clone())?;
        match args.watch {
            true => watch::tasks(&list, &identity.client, &out).await?,
            false => show_tasks(&list, args, &identity, &out).await?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_tasks(
    list: &TaskList,
    args: &LsArgs,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let all = if out.is_watched() { MAX_TASKS_SHOWN } else { u64::MAX };
    let most = args.limit.map_or(all, std::num::NonZeroU64::get);
    // One more shows whether there are more.
    let mut tasks = list.read(&identity.client, most.saturating_add(1)).await?;
    let has_more = tasks.len() as u64 > most;
    tasks.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    out.dynamic(&tasks)?;
    if has_more {
        out.say(format_args!(
            "mito: these are the first {}; `-n` shows more, and a selector such as `12/failed` selects some",
            pluralized(most, "task")
        ));
    }
    Ok(())
}
