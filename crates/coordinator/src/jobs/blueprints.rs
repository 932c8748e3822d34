//! Blueprints of jobs, parsed and cached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mitosis_blueprint::{Blueprint, InvalidBlueprint, Plan};
use mitosis_domain::entropy::Entropy;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_domain::job_plan::CHUNK;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_store::ops::jobs::StoredBlueprint;
use mitosis_store::ops::tasks::NewTask;
use mitosis_store::{Store, StoreError};
use tokio::task::JoinError;

use crate::api::check_task;
use crate::error::Rejection;

/// Bytes of all texts of one task, as [`mitosis_blueprint::Expansion::largest_task_bytes`] counts them. A task within all
/// other limits has fewer.
pub(crate) const MAX_TASK_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the tasks that are in memory at a time for one job, or for one submission.
pub(crate) const CHUNK_BYTES: u64 = 16 * 1024 * 1024;
/// Approximate bytes of all cached blueprints. One that is larger is cached alone.
const CAPACITY: usize = 64 * 1024 * 1024;
/// Most cached blueprints.
const MAX_ENTRIES: usize = 4_096;
/// Bytes in memory for each byte of JSON, roughly: short values have an allocation of their own.
const EXPANSION: usize = 5;

/// The task and the parameters of a job, checked.
#[derive(Debug)]
pub(crate) struct JobBlueprint {
    group: GroupId,
    blueprint: Blueprint,
    size: u64,
    largest_task_bytes: u64,
}

/// Why no task can be made from a blueprint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableBlueprint {
    /// The text is not a blueprint.
    #[error("the blueprint can't be parsed")]
    Json(#[from] serde_json::Error),
    /// A placeholder is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidBlueprint),
    /// A task can be larger than any valid one.
    #[error("a task of the job can have {0} bytes; the limit is {MAX_TASK_BYTES}")]
    TooLarge(u64),
    /// One of the tasks is invalid.
    #[error("task {index}: {why}")]
    Task {
        /// Its index, from 1.
        index: u64,
        /// What is wrong with it.
        why: Rejection,
    },
    /// The work on the blueprint panicked.
    #[error("the expansion of the blueprint failed")]
    Panicked(#[from] JoinError),
}

/// Why a blueprint of the store can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlueprintError {
    /// The database failed.
    #[error("database error")]
    Store(#[from] StoreError),
    /// The blueprint itself is wrong, so that a repetition doesn't help.
    #[error(transparent)]
    Unusable(#[from] UnusableBlueprint),
}

impl JobBlueprint {
    /// Checks the placeholders, and that tasks have a bounded size.
    pub(crate) fn new(group: GroupId, blueprint: Blueprint) -> Result<Self, UnusableBlueprint> {
        let expansion = blueprint.expand()?;
        let (size, largest_task_bytes) = (expansion.len(), expansion.largest_task_bytes());
        match largest_task_bytes <= MAX_TASK_BYTES {
            true => Ok(Self { group, blueprint, size, largest_task_bytes }),
            false => Err(UnusableBlueprint::TooLarge(largest_task_bytes)),
        }
    }

    fn parse(stored: &StoredBlueprint) -> Result<Self, UnusableBlueprint> {
        Self::new(stored.group, serde_json::from_str(&stored.blueprint)?)
    }

    /// The text that the store keeps.
    pub(crate) fn to_json(&self) -> Result<Arc<str>, UnusableBlueprint> {
        Ok(serde_json::to_string(&self.blueprint)?.into())
    }

    /// The number of tasks.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The task as it was submitted, with placeholders.
    pub(crate) fn task(&self) -> &SubmitTaskRequest {
        &self.blueprint.task
    }

    /// The names of the parameters.
    pub(crate) fn parameters(&self) -> Vec<String> {
        self.plan().names().map(str::to_owned).collect()
    }

    /// The values of one task by the names of the parameters; the index counts from 1.
    pub(crate) fn values(&self, index: u64) -> Vec<(String, String)> {
        let row = index.checked_sub(1).and_then(|place| self.plan().get(place)).unwrap_or_default();
        let names = self.plan().names();
        names.zip(row).map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    /// How many tasks fit into a number of bytes.
    pub(crate) fn tasks_within(&self, bytes: u64) -> u64 {
        bytes / self.largest_task_bytes.max(1)
    }

    /// The tasks after the first `written`, up to `count`, with new UUIDs.
    pub(crate) fn tasks(
        &self,
        written: u64,
        count: u64,
        priority: i32,
        entropy: &dyn Entropy,
    ) -> Result<Vec<NewTask>, UnusableBlueprint> {
        let expansion = self.blueprint.expand()?;
        let fits = self.tasks_within(CHUNK_BYTES).max(1);
        let places = written..self.size.min(written.saturating_add(count.min(CHUNK).min(fits)));
        let requests = places.map_while(|place| Some((place, expansion.get(place)?)));
        let tasks = requests.map(|(place, request)| {
            let request = SubmitTaskRequest { priority, ..request };
            check_task(request, self.group, entropy.uuid())
                .map_err(|why| UnusableBlueprint::Task { index: place + 1, why })
        });
        tasks.collect()
    }

    /// Checks some of the tasks, spread over all of them: all, if `sample` is not smaller than their number.
    pub(crate) fn check_sample(&self, sample: u64) -> Result<(), UnusableBlueprint> {
        let expansion = self.blueprint.expand()?;
        let sample = sample.clamp(1, self.size);
        // The last one is always checked: the first one is when it is written.
        let places = (1..=sample).map(|at| (u128::from(self.size) * u128::from(at) / u128::from(sample)) - 1);
        for place in places.map_while(|place| u64::try_from(place).ok()) {
            let Some(request) = expansion.get(place) else { break };
            check_task(request, self.group, uuid::Uuid::nil())
                .map_err(|why| UnusableBlueprint::Task { index: place + 1, why })?;
        }
        Ok(())
    }

    fn plan(&self) -> &Plan {
        &self.blueprint.plan
    }
}

/// Runs work that may take long on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match tokio::task::spawn_blocking(work).await {
        Err(error) if !error.is_panic() => {
            // The runtime is shutting down, and drops this.
            std::future::pending().await
        }
        outcome => outcome,
    }
}

/// Recently used blueprints; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blueprints(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    by_job: HashMap<JobId, Entry>,
    bytes: usize,
    /// Counts the uses of all entries.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    blueprint: Arc<JobBlueprint>,
    bytes: usize,
    last_use: u64,
}

impl Blueprints {
    /// The blueprint of a job; `None` if there is no such job.
    pub(crate) async fn get(
        &self,
        store: &dyn Store,
        job: JobId,
    ) -> Result<Option<Arc<JobBlueprint>>, BlueprintError> {
        if let Some(known) = self.entries().find(job) {
            return Ok(Some(known));
        }
        let Some(stored) = store.blueprint(job).await? else { return Ok(None) };
        let bytes = stored.blueprint.len() * EXPANSION;
        let parsed = blocking(move || JobBlueprint::parse(&stored)).await;
        let blueprint = Arc::new(parsed.map_err(UnusableBlueprint::from)??);
        self.entries().insert(job, Entry { blueprint: blueprint.clone(), bytes, last_use: 0 });
        Ok(Some(blueprint))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn find(&mut self, job: JobId) -> Option<Arc<JobBlueprint>> {
        self.uses += 1;
        let entry = self.by_job.get_mut(&job)?;
        entry.last_use = self.uses;
        Some(entry.blueprint.clone())
    }

    /// Adds an entry, and removes those that were not used for the longest time.
    fn insert(&mut self, job: JobId, entry: Entry) {
        self.uses += 1;
        self.remove(job);
        while !self.by_job.is_empty()
            && (self.bytes + entry.bytes > CAPACITY || self.by_job.len() >= MAX_ENTRIES)
        {
            self.remove_oldest();
        }
        self.bytes += entry.bytes;
        self.by_job.insert(job, Entry { last_use: self.uses, ..entry });
    }

    fn remove_oldest(&mut self) {
        let oldest = self.by_job.iter().min_by_key(|(_, entry)| entry.last_use).map(|(job, _)| *job);
        if let Some(job) = oldest {
            self.remove(job);
        }
    }

    fn remove(&mut self, job: JobId) {
        if let Some(entry) = self.by_job.remove(&job) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mitosis_domain::entropy::OsEntropy;
    use mitosis_protocol::TaskSpec;
    use serde_json::json;

    use super::*;

    fn stored(args: &[&str], labels: &[&str], words: &[&str]) -> StoredBlueprint {
        let task = SubmitTaskRequest {
            group_name: "ann".into(),
            tags: Vec::new(),
            labels: labels.iter().map(ToString::to_string).collect(),
            timeout: Duration::from_secs(90),
            priority: 0,
            task_spec: TaskSpec {
                args: args.iter().map(ToString::to_string).collect(),
                ..TaskSpec::default()
            },
        };
        let column = json!({"name": "x", "values": {"Words": words}});
        let plan = json!({"factors": [{"columns": [column]}]});
        let blueprint = json!({"task": task, "plan": plan}).to_string().into();
        StoredBlueprint { blueprint, group: GroupId(1) }
    }

    fn blueprint(args: &[&str], words: &[&str]) -> JobBlueprint {
        JobBlueprint::parse(&stored(args, &[], words)).unwrap()
    }

    #[test]
    fn tasks_follow_the_written_ones() {
        let blueprint = blueprint(&["echo", "{x}"], &["a", "b", "c"]);
        let args = |written, count| -> Vec<String> {
            let tasks = blueprint.tasks(written, count, 7, &OsEntropy).unwrap();
            assert!(tasks.iter().all(|task| task.priority == 7 && task.uuid.get_version_num() == 4));
            tasks.into_iter().map(|task| task.spec.args[1].clone()).collect()
        };
        assert_eq!(args(0, 2), ["a", "b"]);
        assert_eq!(args(2, 2), ["c"]);
        assert!(args(3, 2).is_empty() && args(u64::MAX, u64::MAX).is_empty());
        assert_eq!(blueprint.values(2), [("x".to_owned(), "b".to_owned())]);
        assert!(blueprint.values(0).is_empty() && blueprint.values(4).is_empty());
    }

    #[test]
    fn large_tasks_are_written_in_smaller_chunks() {
        let long = "x".repeat(100_000);
        let words: Vec<_> = (0..1_000).map(|_| long.as_str()).collect();
        let blueprint = blueprint(&["{x}"], &words);
        let count = blueprint.tasks(0, 1_000, 0, &OsEntropy).unwrap().len() as u64;
        assert!((50..=CHUNK_BYTES / 100_000).contains(&count), "{count}");
    }

    #[test]
    fn unusable_blueprints_are_refused() {
        let text = |text: &str| StoredBlueprint { blueprint: text.into(), ..stored(&[], &[], &["a"]) };
        assert!(matches!(JobBlueprint::parse(&text("{}")), Err(UnusableBlueprint::Json(_))));
        let unknown = stored(&["{y}"], &[], &["a"]);
        assert!(matches!(JobBlueprint::parse(&unknown), Err(UnusableBlueprint::Invalid(_))));
        let long = "x".repeat(100_000);
        let large = stored(&["{x}"; 100], &[], &[long.as_str()]);
        assert!(matches!(JobBlueprint::parse(&large), Err(UnusableBlueprint::TooLarge(_))));
    }

    #[test]
    fn sample_includes_the_last_task() {
        let words: Vec<_> = (0..100).map(|at| if at == 99 { "" } else { "a" }).collect();
        let blueprint = JobBlueprint::parse(&stored(&["true"], &["{x}"], &words)).unwrap();
        for sample in [0, 1, 7, 100, u64::MAX] {
            let error = blueprint.check_sample(sample).unwrap_err();
            assert!(matches!(error, UnusableBlueprint::Task { index: 100, .. }), "{sample}: {error}");
        }
    }

    #[test]
    fn cache_keeps_recent_blueprints_within_its_capacity() {
        let shared = Arc::new(blueprint(&["true"], &["a"]));
        let entry = |bytes| Entry { blueprint: shared.clone(), bytes, last_use: 0 };
        let mut entries = Entries::default();
        entries.insert(JobId(1), entry(CAPACITY / 2));
        entries.insert(JobId(2), entry(CAPACITY / 2));
        entries.find(JobId(1)).unwrap();
        entries.insert(JobId(3), entry(1));
        assert!(entries.find(JobId(2)).is_none(), "it was not used for the longest time");
        assert!(entries.find(JobId(1)).is_some() && entries.find(JobId(3)).is_some());
        entries.insert(JobId(4), entry(CAPACITY * 2));
        assert_eq!((entries.by_job.len(), entries.bytes), (1, CAPACITY * 2), "it is cached alone");
        entries.insert(JobId(4), entry(1));
        for job in 0..5_000 {
            entries.insert(JobId(job), entry(1));
        }
        assert_eq!((entries.by_job.len(), entries.bytes), (MAX_ENTRIES, MAX_ENTRIES));
    }
}
