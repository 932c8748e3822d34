//! `mito doctor`: checks for common problems, one small check after another, with a hint for each problem. It writes
//! nothing but a probe object of a few bytes.

mod address;
mod cgroup;
mod clock;
mod config;
mod context;
mod cors;
mod credentials;
mod database;
mod default_password;
mod disk;
mod finding;
mod health;
mod login;
mod notifications;
mod objects;
mod output;
mod redis;
mod schema;
mod version;
mod workers;

use std::process::ExitCode;

use self::context::DoctorContext;
use self::finding::Finding;
use crate::cli::doctor::DoctorArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::Output;
use crate::show::rows::Rows;

/// Runs the checks. The exit code is that of the first failed check; warnings are not failures.
pub(super) async fn run(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let connection = &args.connection;
    let layers = Layers::load(Role::Client, connection.config.as_deref(), connection.options(), environment)?;
    let mut context = DoctorContext::new(ClientConfig::new(&layers, environment), environment, args.min_free);
    let out = Output::new(&args.output, environment);
    let mut report = Report { rows: out.sentences(), exit: None };
    // In this order: what a check finds out is what the next ones build on.
    report.add(&address::check(&mut context).await)?;
    if let Some(finding) = database::check(&context, connection.config.as_deref()).await {
        report.add(&finding)?;
    }
    report.add(&clock::check(&context))?;
    report.add(&version::check(&context))?;
    report.add(&health::check(&context))?;
    report.add(&config::check(connection.config.as_deref(), environment))?;
    report.add(&credentials::check(&context))?;
    report.add(&login::check(&mut context).await)?;
    report.add(&schema::check(&context))?;
    report.add(&objects::check(&context).await)?;
    report.add(&cors::check(&context).await)?;
    report.add(&redis::check(&context).await)?;
    report.add(&default_password::check(&context))?;
    report.add(&workers::check(&context))?;
    report.add(&output::check(&context))?;
    report.add(&notifications::check(&context))?;
    report.add(&disk::check(&context))?;
    report.add(&cgroup::check())?;
    report.finish()
}

/// Prints the results, and keeps the exit code.
struct Report<'a> {
    rows: Rows<'a, Finding>,
    /// The exit code of the first failed check.
    exit: Option<Exit>,
}

impl Report<'_> {
    /// Prints a result at once, since some checks take long.
    fn add(&mut self, finding: &Finding) -> Result<(), Failure> {
        self.exit = self.exit.or(finding.exit());
        self.rows.push(finding)?;
        self.rows.flush()
    }

    fn finish(self) -> Result<ExitCode, Failure> {
        self.rows.finish()?;
        Ok(self.exit.map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}
