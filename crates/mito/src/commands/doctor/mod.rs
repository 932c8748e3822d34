//! `mito doctor`: looks at everything that usually goes wrong, one small check after another, and says
//! what to do. It changes nothing but one probe object of a few bytes.

mod address;
mod cgroup;
mod clock;
mod cors;
mod credentials;
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

use std::process::ExitCode;

use self::finding::Finding;
use self::patient::Patient;
use crate::cli::doctor::{DoctorArgs, DoctorOutput};
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::failure::Failure;
use crate::logging;
use crate::show;

/// Ends with the code of the first check that failed; warnings are no failure.
pub(super) async fn run(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    let layers = Layers::load(Role::Client, args.config.as_deref(), args.options(), environment)?;
    let config = ClientConfig::new(&layers, environment);
    let mut patient = Patient::new(config, environment, args.min_free);
    let mut clinic = Clinic { output: args.output, findings: Vec::new() };
    // In this order: what a check finds out is what the next ones build on.
    clinic.note(address::check(&mut patient).await)?;
    clinic.note(clock::check(&patient))?;
    clinic.note(version::check(&patient))?;
    clinic.note(parts::check(&patient))?;
    clinic.note(credentials::check(&patient))?;
    clinic.note(login::check(&mut patient).await)?;
    clinic.note(schema::check(&patient))?;
    clinic.note(objects::check(&patient).await)?;
    clinic.note(cors::check(&patient).await)?;
    clinic.note(redis::check(&patient).await)?;
    clinic.note(default_password::check(&patient))?;
    clinic.note(disk::check(&patient))?;
    clinic.note(cgroup::check())?;
    clinic.dismiss()
}

/// What was found so far, and how it is told.
struct Clinic {
    output: DoctorOutput,
    findings: Vec<Finding>,
}

impl Clinic {
    /// Lines are written as they come, since some checks take their time.
    fn note(&mut self, finding: Finding) -> Result<(), Failure> {
        if self.output == DoctorOutput::Text {
            show::line(&finding)?;
        }
        self.findings.push(finding);
        Ok(())
    }

    fn dismiss(self) -> Result<ExitCode, Failure> {
        if self.output == DoctorOutput::Json {
            let list: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
            show::line(format_args!("{:#}", serde_json::Value::from(list)))?;
        }
        Ok(self.findings.iter().find_map(Finding::exit).map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}
