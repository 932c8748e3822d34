//! `mito results`: how many tasks ended, in one table.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_protocol::sweep::{ResultsRequest, TaskOutcome};

use crate::cli::results::{Form, ResultsArgs};
use crate::config::Environment;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::logging;
use crate::sweep::{Object, Table, patiently};

pub(super) async fn run(args: &ResultsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    let identity = Identity::of_options(&args.connection, environment).await?;
    let mut outcomes = all(&identity.client, args).await?;
    // In the order of submission.
    outcomes.reverse();
    write(args.output, &outcomes).map_err(|error| Failure::io("can't write to standard output", error))?;
    Ok(ExitCode::SUCCESS)
}

/// Page by page, newest first.
async fn all(user: &UserClient, args: &ResultsArgs) -> Result<Vec<TaskOutcome>, Failure> {
    let mut outcomes = Vec::new();
    let mut request = ResultsRequest {
        filter: args.select.filter(),
        failed: args.select.failed,
        all: args.all,
        before: None,
        limit: None,
    };
    loop {
        let page = patiently(|| user.results(&request)).await?;
        outcomes.extend(page.results);
        match page.next {
            Some(next) => request.before = Some(next),
            None => return Ok(outcomes),
        }
    }
}

fn write(form: Form, outcomes: &[TaskOutcome]) -> io::Result<()> {
    let is_terminal = io::stdout().is_terminal();
    let mut to = BufWriter::new(io::stdout().lock());
    match form {
        Form::Table if is_terminal => Table::of(outcomes).write_aligned(&mut to)?,
        Form::Table => Table::of(outcomes).write_tabs(&mut to)?,
        Form::Csv => Table::of(outcomes).write_csv(&mut to)?,
        Form::Json => {
            let objects: Vec<_> = outcomes.iter().map(Object::of).collect();
            serde_json::to_writer_pretty(&mut to, &objects)?;
            writeln!(to)?;
        }
        Form::Jsonl => {
            for outcome in outcomes {
                serde_json::to_writer(&mut to, &Object::of(outcome))?;
                writeln!(to)?;
            }
        }
    }
    to.flush()
}
