//! Deletes ended tasks after `retain_tasks`, ended jobs with their tasks after `retain_jobs`, and the archives of tasks after
//! `retain_output`, if these are set, and expired idempotency keys.

use std::time::Duration;

use mitosis_domain::limits;
use mitosis_protocol::Timestamp;
use mitosis_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::Report;
use crate::app::App;
use crate::dispatch::lease_clock::ClusterClock;
use crate::error::ApiError;

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_mins(10);
/// Records in one transaction: few, so that other transactions do not wait long.
const BATCH_SIZE: u32 = 250;
/// The pause between two transactions, for the sake of others.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes expired tasks, archives and idempotency keys.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    Ok(run(&RetentionPass::of(&app)).await?)
}

/// The state of one pass.
struct RetentionPass<'a> {
    store: &'a dyn Store,
    clock: &'a ClusterClock,
    retain_tasks: Option<Duration>,
    retain_jobs: Option<Duration>,
    retain_output: Option<Duration>,
    stopping: &'a CancellationToken,
}

/// Runs a pass. After a jump of the wall clock, nothing is deleted until the clock has been observed for a while: it
/// may be wrong.
async fn run(pass: &RetentionPass<'_>) -> Result<Report, StoreError> {
    let watch = pass.clock.refresh(pass.store).await?;
    if !watch.is_settled() {
        tracing::info!(
            "the clock jumped, or no coordinator ran for a long time; deletion by age is suspended"
        );
        return Ok(Report::default());
    }
    let mut deleted = Deleted::default();
    if let Some(retain) = pass.retain_tasks {
        pass.tasks(watch.now - retain, watch.now, &mut deleted).await?;
    }
    if let Some(retain) = pass.retain_jobs {
        pass.jobs(watch.now - retain, watch.now, &mut deleted).await?;
    }
    if let Some(retain) = pass.retain_output {
        pass.archives(watch.now - retain, watch.now, &mut deleted).await?;
    }
    let keys = pass.keys(watch.now - limits::IDEMPOTENCY_KEY_LIFE).await?;
    pass.departures(watch.now - limits::DEPARTURE_LIFE).await?;
    pass.notifications(watch.now - limits::NOTIFICATION_LIFE).await?;
    Ok(Report::new([
        ("deleted tasks", deleted.tasks),
        ("deleted jobs", deleted.jobs),
        ("deleted archives", deleted.archives),
        ("freed bytes", deleted.freed),
        ("deleted idempotency keys", keys),
    ]))
}

/// What a pass has deleted.
#[derive(Debug, Default)]
struct Deleted {
    tasks: u64,
    jobs: u64,
    archives: u64,
    /// Bytes that groups are no longer charged for.
    freed: u64,
}

impl<'a> RetentionPass<'a> {
    fn of(app: &'a App) -> Self {
        let (store, clock) = (&*app.store, &app.cluster_clock);
        Self {
            store,
            clock,
            retain_tasks: app.retention.tasks,
            retain_jobs: app.retention.jobs,
            retain_output: app.retention.output,
            stopping: &app.stopping,
        }
    }

    async fn tasks(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        deleted: &mut Deleted,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let round = self.store.delete_ended_tasks(ended_before, after, BATCH_SIZE, now).await?;
            deleted.tasks += round.tasks;
            deleted.freed += round.freed;
            if round.next.is_none() || !self.pause().await {
                return Ok(());
            }
            after = round.next;
        }
    }

    async fn jobs(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        deleted: &mut Deleted,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let round = self.store.delete_ended_jobs(ended_before, after, BATCH_SIZE, now).await?;
            deleted.jobs += round.jobs;
            deleted.tasks += round.tasks;
            deleted.freed += round.freed;
            if round.next.is_none() || !self.pause().await {
                return Ok(());
            }
            after = round.next;
        }
    }

    async fn archives(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        deleted: &mut Deleted,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let round = self.store.delete_archives_of_ended(ended_before, after, BATCH_SIZE, now).await?;
            deleted.archives += round.archives;
            deleted.freed += round.freed;
            if round.next.is_none() || !self.pause().await {
                return Ok(());
            }
            after = round.next;
        }
    }

    async fn keys(&self, submitted_before: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let some = self.store.delete_submissions(submitted_before, BATCH_SIZE).await?;
            deleted += some;
            if some < u64::from(BATCH_SIZE) || !self.pause().await {
                return Ok(deleted);
            }
        }
    }

    async fn departures(&self, gone_before: Timestamp) -> Result<(), StoreError> {
        while self.store.delete_departures(gone_before, BATCH_SIZE).await? == u64::from(BATCH_SIZE)
            && self.pause().await
        {}
        Ok(())
    }

    async fn notifications(&self, created_before: Timestamp) -> Result<(), StoreError> {
        while self.store.delete_webhooks(created_before, BATCH_SIZE).await? == u64::from(BATCH_SIZE)
            && self.pause().await
        {}
        Ok(())
    }

    async fn pause(&self) -> bool {
        super::wait(self.stopping, PAUSE).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mitosis_domain::clock::Clock as _;
    use mitosis_domain::name::Name;
    use mitosis_domain::tags::TagSet;
    use mitosis_domain::timeout::Timeout;
    use mitosis_protocol::{TaskSpec, Uuid};
    use mitosis_store::ops::Actor;
    use mitosis_store::ops::accounts::{NewUser, UserCreation};
    use mitosis_store::ops::tasks::{IdempotencyKey, NewTask};
    use mitosis_store::sqlite::SqliteStore;
    use mitosis_testkit::clock::SteppedClock;

    use super::*;
    use crate::settings::LeaseClockSource;

    const HOUR: Duration = Duration::from_hours(1);

    /// With a clock that is years ahead, every record would have expired.
    #[tokio::test]
    async fn clock_jump_does_not_expire_records_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("state.db")).unwrap());
        let clock = Arc::new(SteppedClock::at(Timestamp::parse("2031-02-09T17:04:05Z").unwrap()));
        let new_clock =
            || ClusterClock::new(clock.clone(), LeaseClockSource::Process { standstill: HOUR }, HOUR);
        let stopping = CancellationToken::new();
        let pass = async |cluster_clock: &ClusterClock| {
            let pass = RetentionPass {
                store: &*store,
                clock: cluster_clock,
                retain_tasks: Some(HOUR),
                retain_jobs: Some(HOUR),
                retain_output: Some(HOUR),
                stopping: &stopping,
            };
            run(&pass).await.unwrap()
        };
        let ann = NewUser { name: Name::new("ann").unwrap(), password_hash: String::new(), admin: false };
        let UserCreation::Created(ann) = store.create_user(Actor::System, &ann, clock.now()).await.unwrap()
        else {
            panic!()
        };
        let key = IdempotencyKey { key: Uuid::nil().to_string(), digest: [0; 32], refused: Vec::new() };
        let waiting = NewTask {
            uuid: Uuid::nil(),
            group: store.group("ann").await.unwrap().unwrap().id,
            tags: TagSet::default(),
            labels: TagSet::default(),
            timeout: Timeout::new(Duration::from_secs(600)).unwrap(),
            priority: 0,
            spec: TaskSpec::default(),
        };
        let submitted = store.submit(ann, &[waiting], Some(&key), clock.now()).await.unwrap();
        submitted.discard("no requests wait in this test");

        let running = new_clock();
        assert_eq!(pass(&running).await, Report::default());
        clock.step_forward(HOUR * 24 * 3_650);
        assert_eq!(pass(&running).await, Report::default(), "the clock may be wrong");
        let restarted = new_clock();
        assert_eq!(pass(&restarted).await, Report::default(), "a restart does not help");
        for _ in 0..23 {
            clock.advance(HOUR);
            assert_eq!(pass(&restarted).await, Report::default(), "the clock was not observed long enough");
        }
        clock.advance(HOUR);
        assert_eq!(pass(&restarted).await, Report::new([("deleted idempotency keys", 1)]));
    }
}
