//! Forgets tasks that ended long ago, if it is told to, and idempotency keys that nobody repeats any more.

use std::time::Duration;

use mitosis_domain::limits;
use mitosis_store::Fault;

use crate::app::App;
use crate::error::chain;

/// How often to look.
const PERIOD: Duration = Duration::from_mins(10);
/// Tasks that one transaction looks at: few, so that nobody who waits for it notices.
const AT_ONCE: u32 = 250;
/// Between two transactions everybody else has their turn.
const BREATH: Duration = Duration::from_millis(20);

/// Runs the pass at once and then again and again, until the application stops.
pub(super) async fn run(app: App) {
    loop {
        match pass(&app).await {
            Ok(Report { tasks: 0, keys: 0 }) => {}
            Ok(Report { tasks, keys }) => {
                tracing::info!(tasks, keys, "forgot tasks and idempotency keys that are past their time");
            }
            Err(fault) => tracing::warn!(cause = chain(&fault), "could not forget what is past its time"),
        }
        if !super::pause(&app, PERIOD).await {
            return;
        }
    }
}

/// What a pass removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    tasks: u64,
    keys: u64,
}

async fn pass(app: &App) -> Result<Report, Fault> {
    let tasks = match app.retain_tasks {
        Some(retain) => forget_tasks(app, retain).await?,
        None => 0,
    };
    let report = Report { tasks, keys: forget_keys(app).await? };
    delete_departures(app).await?;
    Ok(report)
}

async fn forget_tasks(app: &App, retain: Duration) -> Result<u64, Fault> {
    let ended_before = app.now() - retain;
    let (mut forgotten, mut after) = (0, None);
    loop {
        let round = app.store.forget_tasks(ended_before, after, AT_ONCE, app.now()).await?;
        forgotten += round.tasks;
        if round.next.is_none() || !super::pause(app, BREATH).await {
            return Ok(forgotten);
        }
        after = round.next;
    }
}

async fn forget_keys(app: &App) -> Result<u64, Fault> {
    let submitted_before = app.now() - limits::IDEMPOTENCY_KEY_LIFE;
    let mut forgotten = 0;
    loop {
        let some = app.store.forget_submissions(submitted_before, AT_ONCE).await?;
        forgotten += some;
        if some < u64::from(AT_ONCE) || !super::pause(app, BREATH).await {
            return Ok(forgotten);
        }
    }
}

async fn delete_departures(app: &App) -> Result<(), Fault> {
    let gone_before = app.now() - limits::DEPARTURE_LIFE;
    while app.store.delete_departures(gone_before, AT_ONCE).await? == u64::from(AT_ONCE)
        && super::pause(app, BREATH).await
    {}
    Ok(())
}
