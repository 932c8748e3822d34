//! Resolves schedules: numbers, names, and `GROUP/NAME`.

use mitosis_protocol::schedule::{ScheduleInfo, SchedulesRequest};
use mitosis_sweep::retry_transient;

use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The numbers of schedules, in the given order, each once.
pub(super) async fn numbers(schedules: &[String], identity: &Identity) -> Result<Vec<i64>, Failure> {
    let mut numbers = Vec::with_capacity(schedules.len());
    for schedule in schedules {
        let number = number(schedule, identity).await?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// The number of a schedule. A name in several groups means the caller's own.
pub(super) async fn number(schedule: &str, identity: &Identity) -> Result<i64, Failure> {
    if let Ok(number) = schedule.parse() {
        return Ok(number);
    }
    let (group, name) = match schedule.split_once('/') {
        Some((group, name)) => (Some(group.to_owned()), name),
        None => (None, schedule),
    };
    let request = SchedulesRequest { group, name: Some(name.to_owned()), ..SchedulesRequest::default() };
    let mut found = all(request, identity).await?;
    if found.len() > 1 && found.iter().any(|info| info.creator == identity.name) {
        found.retain(|info| info.creator == identity.name);
    }
    match &found[..] {
        [] => Err(Failure::new(Exit::NotFound, format!("there is no schedule `{schedule}`"))
            .with_hint("`mito schedule ls -a` lists the schedules of your groups")),
        [only] => Ok(only.schedule),
        [first, ..] => {
            let count = found.len();
            Err(Failure::new(Exit::Usage, format!("{count} groups have a schedule `{name}`"))
                .with_hint(format!("write the group, too: `{}/{name}`", first.group)))
        }
    }
}

/// All schedules that a request selects.
pub(super) async fn all(
    request: SchedulesRequest,
    identity: &Identity,
) -> Result<Vec<ScheduleInfo>, Failure> {
    let (mut request, mut found) = (request, Vec::new());
    loop {
        let mut page = retry_transient(|| identity.client.schedules(&request)).await?;
        found.append(&mut page.schedules);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(found),
        }
    }
}
