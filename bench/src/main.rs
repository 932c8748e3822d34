//! Measures whole systems: real processes and real servers, side by side in one run.
//!
//! Every section prints a table. Rounds of different variants are interleaved, so that other load of the
//! machine affects all of them; the median and the range are printed. The benchmark is not linked with the
//! coordinator: it measures the binary `mito` from outside.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tables and progress of a tool of this repository"
)]

mod agents;
mod archives;
mod backlog;
mod ceiling;
mod failover;
mod forms;
mod history;
mod hostile;
mod idle;
mod latency;
mod loss;
mod mito;
mod noop;
mod numbers;
mod observe;
mod output;
mod short;
mod steps;
mod submit;
mod table;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Any error; it is only printed.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures mito side by side with other ways to run commands.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure
    #[arg(value_enum, default_values_t = [Section::All])]
    sections: Vec<Section>,
    /// Run each section for a few seconds to check that it works; the numbers mean little
    #[arg(long)]
    quick: bool,
    /// Number of measurements of each variant
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The program to measure, built for release
    #[arg(long)]
    mito: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Everything
    All,
    /// Thousands of short commands on four slots
    Short,
    /// The output of short commands, stored and printed
    Output,
    /// Ways to write a command, and waiting by the command line
    Forms,
    /// A million small archives of output, before and after they are packed
    Archives,
    /// Steps of a job file that need each other task by task, and a graph of ten thousand steps
    Steps,
    /// Submitting 100,000 tasks in one call
    Submit,
    /// Time of a single task on an idle system
    Latency,
    /// An urgent task, and the rate, with a million tasks waiting
    Backlog,
    /// Tasks that are ended without being run
    Noop,
    /// Load of a coordinator without requests
    Idle,
    /// Three coordinators and the database, killed one after the other while tasks run
    Failover,
    /// A killed worker and its tasks
    Loss,
    /// Ten thousand idle agents
    Agents,
    /// Pages of a history of ten million tasks
    History,
    /// The rate of one tenant while others misbehave
    Hostile,
}

/// The settings of all sections.
#[derive(Debug, Clone)]
struct Plan {
    mito: PathBuf,
    rounds: usize,
    quick: bool,
}

impl Plan {
    /// A size, or the one for a quick run.
    const fn size(&self, real: usize, quick: usize) -> usize {
        if self.quick { quick } else { real }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mito-bench: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The message of an error with its causes, which explain database errors.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}

async fn run(args: Args) -> Result<(), Error> {
    let plan = Plan { mito: std::path::absolute(args.mito)?, rounds: args.rounds.max(1), quick: args.quick };
    let wanted = |section| args.sections.contains(&section) || args.sections.contains(&Section::All);
    println!("{}\n", observe::machine());
    if wanted(Section::Short) {
        short::measure(&plan).await?;
    }
    if wanted(Section::Output) {
        output::measure(&plan).await?;
    }
    if wanted(Section::Forms) {
        forms::measure(&plan).await?;
    }
    if wanted(Section::Archives) {
        archives::measure(&plan).await?;
    }
    if wanted(Section::Steps) {
        steps::measure(&plan).await?;
    }
    if wanted(Section::Submit) {
        submit::measure(&plan).await?;
    }
    if wanted(Section::Latency) {
        latency::measure(&plan).await?;
    }
    if wanted(Section::Backlog) {
        backlog::measure(&plan).await?;
    }
    if wanted(Section::Noop) {
        noop::measure(&plan).await?;
    }
    if wanted(Section::Idle) {
        idle::measure(&plan).await?;
    }
    if wanted(Section::Failover) {
        failover::measure(&plan).await?;
    }
    if wanted(Section::Loss) {
        loss::measure(&plan).await?;
    }
    if wanted(Section::Agents) {
        agents::measure(&plan).await?;
    }
    if wanted(Section::History) {
        history::measure(&plan).await?;
    }
    if wanted(Section::Hostile) {
        hostile::measure(&plan).await?;
    }
    Ok(())
}
