//! Forgets tasks that ended long ago, if it is told to, and idempotency keys that nobody repeats any more.

use std::time::Duration;

use mitosis_domain::limits;
use mitosis_protocol::Timestamp;
use mitosis_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::Report;
use crate::app::App;
use crate::dispatch::leases::Leases;
use crate::error::ApiError;

/// How often to look.
pub(super) const PERIOD: Duration = Duration::from_mins(10);
/// Tasks that one transaction looks at: few, so that nobody who waits for it notices.
const BATCH_SIZE: u32 = 250;
/// Between two transactions everybody else has their turn.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes expired tasks and idempotency keys.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    Ok(forget(&Forgetting::of(&app)).await?)
}

/// What a pass works with.
struct Forgetting<'a> {
    store: &'a dyn Store,
    leases: &'a Leases,
    retain_tasks: Option<Duration>,
    stopping: &'a CancellationToken,
}

/// After a jump of the wall clock nothing is removed until the clock has been watched for a while: it may be wrong.
async fn forget(forgetting: &Forgetting<'_>) -> Result<Report, StoreError> {
    let watch = forgetting.leases.observe(forgetting.store).await?;
    if !watch.is_settled() {
        tracing::info!(
            "the clock jumped, or no coordinator ran for long; nothing is deleted by its age for a while"
        );
        return Ok(Report::default());
    }
    let tasks = match forgetting.retain_tasks {
        Some(retain) => forgetting.tasks(watch.now - retain, watch.now).await?,
        None => 0,
    };
    let keys = forgetting.keys(watch.now - limits::IDEMPOTENCY_KEY_LIFE).await?;
    forgetting.departures(watch.now - limits::DEPARTURE_LIFE).await?;
    Ok(Report::new([("deleted tasks", tasks), ("deleted idempotency keys", keys)]))
}

impl<'a> Forgetting<'a> {
    fn of(app: &'a App) -> Self {
        let (store, leases) = (&*app.store, &app.leases);
        Self { store, leases, retain_tasks: app.retain_tasks, stopping: &app.stopping }
    }

    async fn tasks(&self, ended_before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let (mut forgotten, mut after) = (0, None);
        loop {
            let round = self.store.forget_tasks(ended_before, after, BATCH_SIZE, now).await?;
            forgotten += round.tasks;
            if round.next.is_none() || !self.breathe().await {
                return Ok(forgotten);
            }
            after = round.next;
        }
    }

    async fn keys(&self, submitted_before: Timestamp) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let some = self.store.forget_submissions(submitted_before, BATCH_SIZE).await?;
            forgotten += some;
            if some < u64::from(BATCH_SIZE) || !self.breathe().await {
                return Ok(forgotten);
            }
        }
    }

    async fn departures(&self, gone_before: Timestamp) -> Result<(), StoreError> {
        while self.store.delete_departures(gone_before, BATCH_SIZE).await? == u64::from(BATCH_SIZE)
            && self.breathe().await
        {}
        Ok(())
    }

    async fn breathe(&self) -> bool {
        super::wait(self.stopping, PAUSE).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mitosis_domain::clock::Clock as _;
    use mitosis_domain::name::Name;
    use mitosis_domain::tags::TagSet;
    use mitosis_protocol::{TaskSpec, Uuid};
    use mitosis_store::ops::By;
    use mitosis_store::ops::accounts::{NewUser, UserCreation};
    use mitosis_store::ops::tasks::{IdempotencyKey, NewTask};
    use mitosis_store::sqlite::SqliteStore;
    use mitosis_testkit::clock::SteppedClock;

    use super::*;
    use crate::settings::LeaseClockSource;

    const HOUR: Duration = Duration::from_hours(1);

    /// Years ahead of the truth, everything would be past its time.
    #[tokio::test]
    async fn clock_that_jumps_ahead_makes_nothing_old_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("state.db")).unwrap());
        let clock = Arc::new(SteppedClock::at(Timestamp::parse("2031-02-09T17:04:05Z").unwrap()));
        let leases = || Leases::new(clock.clone(), LeaseClockSource::Process { standstill: HOUR }, HOUR);
        let stopping = CancellationToken::new();
        let pass = async |leases: &Leases| {
            let forgetting =
                Forgetting { store: &*store, leases, retain_tasks: Some(HOUR), stopping: &stopping };
            forget(&forgetting).await.unwrap()
        };
        let ann = NewUser { name: Name::new("ann").unwrap(), password_hash: String::new(), admin: false };
        let UserCreation::Created(ann) = store.create_user(By::Site, &ann, clock.now()).await.unwrap() else {
            panic!()
        };
        let key = IdempotencyKey { key: Uuid::nil().to_string(), digest: [0; 32], refused: Vec::new() };
        let waiting = NewTask {
            uuid: Uuid::nil(),
            group: store.group("ann").await.unwrap().unwrap().id,
            tags: TagSet::default(),
            labels: TagSet::default(),
            timeout_seconds: 600,
            priority: 0,
            spec: TaskSpec::default(),
        };
        store.submit(ann, &[waiting], Some(&key), clock.now()).await.unwrap();

        let running = leases();
        assert_eq!(pass(&running).await, Report::default());
        clock.step_forward(HOUR * 24 * 3_650);
        assert_eq!(pass(&running).await, Report::default(), "the clock may be wrong");
        let restarted = leases();
        assert_eq!(pass(&restarted).await, Report::default(), "a restart makes it no better");
        for _ in 0..23 {
            clock.advance(HOUR);
            assert_eq!(pass(&restarted).await, Report::default(), "it has not been watched for long");
        }
        clock.advance(HOUR);
        assert_eq!(pass(&restarted).await, Report::new([("deleted idempotency keys", 1)]));
    }
}
