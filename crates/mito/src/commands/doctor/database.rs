//! Checks that a coordinator could use the configured database.

use std::path::Path;
use std::time::Duration;

use mitosis_coordinator::Coordinator;
use tokio::time::timeout;

use super::context::DoctorContext;
use super::finding::{Finding, chain};
use crate::config::coordinator::database;
use crate::config::{Environment, Layers, Options, Role, keys};
use crate::process::exit::Exit;

const CHECK: &str = "database";
const LIMIT: Duration = Duration::from_secs(10);

/// Skipped if a coordinator answers, which has its database, or if no database is configured.
pub(super) async fn check(context: &DoctorContext<'_>, config: Option<&Path>) -> Option<Finding> {
    if context.coordinator.is_some() {
        return None;
    }
    look(config, context.environment).await
}

async fn look(config: Option<&Path>, environment: &Environment) -> Option<Finding> {
    // Another check reports what is wrong with the file.
    let layers = Layers::load_quietly(Role::Coordinator, config, Options::default(), environment).ok()?;
    layers.get(keys::DB_URL)?;
    let database = match database(&layers) {
        Ok(database) => database,
        Err(error) => return Some(Finding::fail(CHECK, Exit::Config, error.to_string())),
    };
    Some(match timeout(LIMIT, Coordinator::inspect(&database)).await {
        Ok(Ok(())) => Finding::ok(CHECK, "a coordinator with this configuration can use it"),
        Ok(Err(error)) => {
            let finding = Finding::fail(CHECK, Exit::Failure, chain(&error));
            error.hint().map_or(finding.clone(), |hint| finding.hint(hint))
        }
        Err(_) => Finding::fail(CHECK, Exit::Network, format!("no answer within {} s", LIMIT.as_secs()))
            .hint("check host and port in db_url"),
    })
}
