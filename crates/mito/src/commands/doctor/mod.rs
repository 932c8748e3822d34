//! `mito doctor`: looks at everything that usually goes wrong, one small check after another, and says
//! what to do. It changes nothing but one probe object of a few bytes.

mod address;
mod cgroup;
mod clock;
mod config;
mod cors;
mod credentials;
mod database;
mod default_password;
mod disk;
mod finding;
mod login;
mod objects;
mod parts;
mod patient;
mod redis;
mod schema;
mod version;
mod workers;

use std::process::ExitCode;

use self::finding::Finding;
use self::patient::Patient;
use crate::cli::doctor::DoctorArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::Output;
use crate::show::rows::Rows;

/// Ends with the code of the first check that failed; warnings are no failure.
pub(super) async fn run(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    let connection = &args.connection;
    let layers = Layers::load(Role::Client, connection.config.as_deref(), connection.options(), environment)?;
    let mut patient = Patient::new(ClientConfig::new(&layers, environment), environment, args.min_free);
    let out = Output::new(&args.output, environment);
    let mut clinic = Clinic { rows: out.sentences(), exit: None };
    // In this order: what a check finds out is what the next ones build on.
    clinic.note(&address::check(&mut patient).await)?;
    if let Some(finding) = database::check(&patient, connection.config.as_deref()).await {
        clinic.note(&finding)?;
    }
    clinic.note(&clock::check(&patient))?;
    clinic.note(&version::check(&patient))?;
    clinic.note(&parts::check(&patient))?;
    clinic.note(&config::check(connection.config.as_deref(), environment))?;
    clinic.note(&credentials::check(&patient))?;
    clinic.note(&login::check(&mut patient).await)?;
    clinic.note(&schema::check(&patient))?;
    clinic.note(&objects::check(&patient).await)?;
    clinic.note(&cors::check(&patient).await)?;
    clinic.note(&redis::check(&patient).await)?;
    clinic.note(&default_password::check(&patient))?;
    clinic.note(&workers::check(&patient))?;
    clinic.note(&disk::check(&patient))?;
    clinic.note(&cgroup::check())?;
    clinic.dismiss()
}

/// What was found so far, and how it is told.
struct Clinic<'a> {
    rows: Rows<'a, Finding>,
    /// The code of the first check that failed.
    exit: Option<Exit>,
}

impl Clinic<'_> {
    /// Findings are written as they come, since some checks take their time.
    fn note(&mut self, finding: &Finding) -> Result<(), Failure> {
        self.exit = self.exit.or(finding.exit());
        self.rows.push(finding)?;
        self.rows.flush()
    }

    fn dismiss(self) -> Result<ExitCode, Failure> {
        self.rows.finish()?;
        Ok(self.exit.map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}
