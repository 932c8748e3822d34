//! Submits many tasks exactly once, also after interruptions.
//!
//! The tasks are sent in chunks. The idempotency key of a chunk consists of the submission's id and the position of
//! its first task, and its content depends only on the submission. So a chunk that is sent again after a lost reply or
//! a restart is recognized, and answered with the existing tasks.

use std::path::Path;

use mitosis_blueprint::{Blueprint, Expansion};
use mitosis_client::{ClientError, UserClient};
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{
    RemoteFile, SubmitOutcome, SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest,
};

use super::error::Error;
use super::retry::retry_transient;
use super::saved_submission::{SavedSubmission, SubmissionFile};

/// Tasks in one request.
const CHUNK: usize = 10_000;
/// Approximate bytes in one request. Escaping can make a text six times longer, and the coordinator accepts 256 MiB.
const CHUNK_BYTES: usize = 32 * 1024 * 1024;
/// The length of a random id.
const ID_LETTERS: usize = 12;

/// A submission that is in progress.
#[derive(Debug)]
pub struct Submission {
    saved: SavedSubmission,
    file: SubmissionFile,
    done: u64,
    total: u64,
}

/// The submitting user and the coordinator.
#[derive(Debug, Clone)]
pub struct Submitter {
    /// Address of the coordinator.
    pub address: String,
    /// The user.
    pub user: String,
}

/// Tasks that the coordinator has accepted, in order.
pub struct Accepted<'a> {
    /// The tasks, each with its group.
    pub tasks: &'a [(SubmitTaskReply, String)],
    /// Whether the coordinator had them already.
    pub replayed: bool,
    /// The number of tasks that were accepted so far.
    pub so_far: u64,
    /// The number of tasks of the submission.
    pub total: u64,
}

impl Submission {
    /// Creates a submission. With a name, it continues an earlier one of the same name.
    pub fn new(
        name: Option<&str>,
        blueprints: Vec<Blueprint>,
        submitter: Submitter,
        cache: &Path,
    ) -> Result<Self, Error> {
        let id = name.map_or_else(random_id, str::to_owned);
        let file = SubmissionFile::new(&id, cache);
        let Submitter { address, user } = submitter;
        let submission = Self::of(SavedSubmission { id, address, user, blueprints }, file);
        match submission.file.load()? {
            Some(earlier) if earlier == submission.saved => {
                Ok(Self { done: submission.file.submitted(), ..submission })
            }
            Some(earlier) => Err(Error::NameTaken(earlier.id)),
            None => Ok(submission),
        }
    }

    /// Loads an interrupted submission.
    pub fn interrupted(id: &str, cache: &Path) -> Result<Self, Error> {
        let file = SubmissionFile::new(id, cache);
        match file.load()? {
            Some(saved) => Ok(Self { done: file.submitted(), ..Self::of(saved, file) }),
            None => Err(Error::NotInterrupted { id: id.to_owned(), others: file.list() }),
        }
    }

    fn of(saved: SavedSubmission, file: SubmissionFile) -> Self {
        let total = saved.blueprints.iter().map(|blueprint| blueprint.plan.len()).sum();
        Self { saved, file, done: 0, total }
    }

    /// Whether a part of the tasks can exist: a single task exists or not.
    fn can_be_interrupted(&self) -> bool {
        self.total > 1
    }

    /// The address of the coordinator.
    pub fn address(&self) -> &String {
        &self.saved.address
    }

    /// The user who submits the tasks.
    pub fn user(&self) -> &String {
        &self.saved.user
    }

    /// The number of tasks.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many tasks the coordinator has confirmed.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The command that resumes the submission.
    pub fn resume_command(&self) -> String {
        format!("mito submit --resume {}", self.saved.id)
    }

    /// Sends the tasks that the coordinator does not have yet, and calls `on_accepted` for each accepted chunk. A
    /// failed submission can be resumed.
    pub async fn send(
        mut self,
        user: &UserClient,
        mut on_accepted: impl FnMut(Accepted<'_>),
    ) -> Result<u64, Error> {
        let expansions: Vec<Expansion<'_>> =
            self.saved.blueprints.iter().map(Blueprint::expand).collect::<Result<_, _>>()?;
        let total = self.total;
        let mut tasks = tasks_from(&expansions, self.done).peekable();
        if self.done == 0 && self.can_be_interrupted() {
            self.file.save(&self.saved)?;
        }
        while tasks.peek().is_some() {
            let chunk = take_chunk(&mut tasks);
            let groups: Vec<String> = chunk.iter().map(|task| task.group_name.clone()).collect();
            let key = format!("mito-submit:{}:{}", self.saved.id, self.done);
            let request = SubmitTasksRequest { tasks: chunk, idempotency_key: Some(key) };
            let reply =
                retry_transient(|| user.submit_many(&request)).await.map_err(|error| self.failed(error))?;
            let replayed = reply.replayed;
            let accepted = all_accepted(reply, groups).inspect_err(|_| {
                if self.done == 0 {
                    self.file.remove();
                }
            })?;
            self.done += accepted.len() as u64;
            on_accepted(Accepted { tasks: &accepted, replayed, so_far: self.done, total });
            if self.done < total {
                self.file.save_progress(self.done)?;
            }
        }
        self.file.remove();
        Ok(total)
    }

    /// The error of a failed request. If no task was submitted, there is nothing to resume.
    fn failed(&self, error: ClientError) -> Error {
        let never_started = self.done == 0 && error.status().is_some_and(|status| status < 500);
        if never_started {
            self.file.remove();
        }
        if error.code() == Some(ErrorCode::KeyReused) {
            return Error::NameTaken(self.saved.id.clone());
        }
        match never_started || !self.can_be_interrupted() {
            true => error.into(),
            false => Error::Interrupted { source: error, id: self.saved.id.clone() },
        }
    }
}

fn random_id() -> String {
    let mut id = OsEntropy.uuid().simple().to_string();
    id.truncate(ID_LETTERS);
    id
}

/// All tasks from a position on, blueprint after blueprint.
fn tasks_from<'a>(
    expansions: &'a [Expansion<'a>],
    position: u64,
) -> impl Iterator<Item = SubmitTaskRequest> + 'a {
    let mut skip = position;
    expansions.iter().flat_map(move |expansion| {
        let first = skip.min(expansion.len());
        skip -= first;
        expansion.tasks_from(first)
    })
}

/// Takes the next chunk: at least one task, and as many as fit in a request. The same position always gives the same
/// chunk.
fn take_chunk(
    tasks: &mut std::iter::Peekable<impl Iterator<Item = SubmitTaskRequest>>,
) -> Vec<SubmitTaskRequest> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while chunk.len() < CHUNK {
        let Some(task) = tasks.next_if(|task| chunk.is_empty() || bytes + weight(task) <= CHUNK_BYTES) else {
            break;
        };
        bytes += weight(&task);
        chunk.push(task);
    }
    chunk
}

/// The approximate size of a task in bytes.
fn weight(task: &SubmitTaskRequest) -> usize {
    let spec = &task.task_spec;
    let pairs = |map: &std::collections::BTreeMap<String, String>| -> usize {
        map.iter().map(|(name, value)| name.len() + value.len() + 6).sum()
    };
    let words = |words: &[String]| -> usize { words.iter().map(|word| word.len() + 3).sum() };
    let resources: usize = spec
        .resources
        .iter()
        .map(|resource| match &resource.remote_file {
            RemoteFile::Attachment { key } => key.len() + resource.local_path.len() + 80,
            RemoteFile::Artifact { .. } => resource.local_path.len() + 160,
        })
        .sum();
    let all_words = words(&spec.args) + words(&task.tags) + words(&task.labels);
    all_words + pairs(&spec.envs) + pairs(&spec.params) + resources + 256
}

/// Returns the submitted tasks. They were checked before, so a refusal concerns the caller or the group.
fn all_accepted(
    reply: SubmitTasksReply,
    groups: Vec<String>,
) -> Result<Vec<(SubmitTaskReply, String)>, Error> {
    if reply.results.len() != groups.len() {
        return Err(Error::UnexpectedReply);
    }
    let each = reply.results.into_iter().zip(groups);
    each.map(|(outcome, group)| match outcome {
        SubmitOutcome::Ok(task) => Ok((task, group)),
        SubmitOutcome::Err(refusal) => Err(Error::Refused(refusal)),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mitosis_blueprint::{Column, Factor, Plan, Values};
    use mitosis_protocol::{ErrorBody, TaskSpec};

    use super::*;

    fn blueprint(values: &str, word: &str) -> Blueprint {
        let column = Column::new("x", Values::parse(values).unwrap()).unwrap();
        Blueprint {
            task: SubmitTaskRequest {
                group_name: "ann".into(),
                tags: vec![],
                labels: vec![],
                timeout: Duration::from_secs(60),
                priority: 0,
                task_spec: TaskSpec { args: vec![format!("{word}{{x}}")], ..TaskSpec::default() },
            },
            plan: Plan::product(vec![Factor::new(vec![column]).unwrap()]).unwrap(),
        }
    }

    fn words(tasks: impl Iterator<Item = SubmitTaskRequest>) -> Vec<String> {
        tasks.map(|task| task.task_spec.args[0].clone()).collect()
    }

    #[test]
    fn refusal_keeps_the_code_of_the_coordinator() {
        let refusal = ErrorBody {
            code: Some(ErrorCode::QuotaExceeded),
            msg: "the group is full".into(),
            hint: Some("ask an administrator".into()),
            request_id: None,
        };
        let reply = SubmitTasksReply { results: vec![SubmitOutcome::Err(refusal)], replayed: false };
        let error = all_accepted(reply, vec!["lab".into()]).unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("ask an administrator"));
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.code, Some(ErrorCode::QuotaExceeded));
    }

    #[test]
    fn position_is_mapped_to_its_blueprint() {
        let blueprints = [blueprint("1..3", "a"), blueprint("1..2", "b")];
        let expansions: Vec<_> = blueprints.iter().map(|one| one.expand().unwrap()).collect();
        let all = ["a1", "a2", "a3", "b1", "b2"];
        for position in 0..=5 {
            let from = words(tasks_from(&expansions, position as u64));
            assert_eq!(from, all[position..], "from {position}");
        }
    }

    #[test]
    fn resumed_submission_skips_confirmed_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let file = SubmissionFile::new("night", folder.path());
        let (address, user) = ("http://c".to_owned(), "ann".to_owned());
        let blueprints = vec![blueprint("1..25000", "a")];
        file.save(&SavedSubmission { id: "night".to_owned(), address, user, blueprints }).unwrap();
        let at =
            || Submission::interrupted("night", folder.path()).map(|there| (there.done(), there.total()));
        assert_eq!(at().unwrap(), (0, 25_000));
        file.save_progress(10_000).unwrap();
        assert_eq!(at().unwrap(), (10_000, 25_000));
        file.remove();
        assert!(matches!(at(), Err(Error::NotInterrupted { .. })));
    }

    #[test]
    fn chunk_borders_do_not_depend_on_the_start() {
        let blueprints = [blueprint("1..25000", "a")];
        let expansions = [blueprints[0].expand().unwrap()];
        let lengths = |position| {
            let mut tasks = tasks_from(&expansions, position).peekable();
            let mut lengths = Vec::new();
            while tasks.peek().is_some() {
                lengths.push(take_chunk(&mut tasks).len());
            }
            lengths
        };
        assert_eq!(lengths(0), [10_000, 10_000, 5_000]);
        assert_eq!(lengths(10_000), [10_000, 5_000]);
    }

    #[test]
    fn chunk_stays_within_the_size_limit() {
        let large = "x".repeat(1_000_000);
        let blueprints = [blueprint("1..100", &large)];
        let expansions = [blueprints[0].expand().unwrap()];
        let chunk = take_chunk(&mut tasks_from(&expansions, 0).peekable());
        assert!((30..=33).contains(&chunk.len()), "{}", chunk.len());
        let body = serde_json::to_vec(&SubmitTasksRequest { tasks: chunk, idempotency_key: None }).unwrap();
        assert!(body.len() < CHUNK_BYTES + 1_000_000);
    }
}
