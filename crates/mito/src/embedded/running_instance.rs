//! The error of a start on data that another process uses.

use std::path::Path;

use mitosis_coordinator::StartError;

use crate::config::Environment;
use crate::config::instances::{Instance, Instances};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::text::shell_word;

/// The error of a failed start. If another instance is running, it names that one.
pub(crate) fn explain_start_error(error: StartError, home: &Path, environment: &Environment) -> Failure {
    let Some(owner) = error.in_use_by() else { return error.into() };
    let instance = Instances::find(environment).of_data(home);
    match (owner, instance) {
        (Some(owner), Some(instance)) if i64::from(instance.process) == i64::from(owner) => in_use(&instance),
        (Some(owner), _) => {
            Failure::from(error).with_hint(format!("stop it (`kill {owner}`), or use a different --data"))
        }
        (None, _) => error.into(),
    }
}

fn in_use(instance: &Instance) -> Failure {
    let Instance { address, process, .. } = instance;
    let data = shell_word(&instance.data.display().to_string());
    Failure::new(
        Exit::Failure,
        format!(
            "mitosis is already running on this data, at {address} (process {process}): it is in use by another process"
        ),
    )
    .with_hint(format!(
        "use it: `{}`; or stop it with `mito dev stop --data {data}`; or start another one with a different --data",
        instance.connect_command()
    ))
}
