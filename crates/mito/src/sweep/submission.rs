//! Sending many tasks, each once, whatever is interrupted.
//!
//! The tasks go out in portions. The key of a portion is made of the submission's id and the position of
//! its first task, and its content follows from the submission alone. So a portion that is sent again,
//! because its answer was lost or because the whole command was started again, is recognised and answered
//! with the tasks that are there.

use mitosis_client::{ClientError, UserClient};
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_domain::sweep::{Blueprint, Expansion};
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{
    RemoteFile, SubmitOutcome, SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest,
};

use super::kept::{Kept, Place};
use super::patiently::patiently;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Tasks in one request.
const PORTION: usize = 10_000;
/// Bytes in one request, roughly. Escaped, a text grows to six times its length at most, and the
/// coordinator takes 256 MiB.
const PORTION_BYTES: usize = 32 * 1024 * 1024;
/// Letters of an id that is drawn.
const ID_LETTERS: usize = 12;

/// A submission under way.
#[derive(Debug)]
pub(crate) struct Submission {
    kept: Kept,
    place: Place,
    done: u64,
    total: u64,
}

/// Tasks that the coordinator has taken, in order.
pub(crate) struct Accepted<'a> {
    pub(crate) tasks: &'a [(SubmitTaskReply, String)],
    /// The coordinator had them already.
    pub(crate) replayed: bool,
    /// How many there are so far, of how many.
    pub(crate) so_far: u64,
    pub(crate) total: u64,
}

impl Submission {
    /// A new one. Under a name that was given, it is the one that may have begun before.
    pub(crate) fn new(
        name: Option<&str>,
        blueprints: Vec<Blueprint>,
        identity: &Identity,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let id = name.map_or_else(draw_id, str::to_owned);
        let place = Place::of(&id, environment);
        let address = identity.client.client().address().to_owned();
        let kept = Kept { id, address, user: identity.name.clone(), blueprints };
        let submission = Self::of(kept, place);
        match submission.place.find()? {
            Some(earlier) if earlier == submission.kept => {
                Ok(Self { done: submission.place.done(), ..submission })
            }
            Some(earlier) => Err(another_under_this_name(&earlier.id)),
            None => Ok(submission),
        }
    }

    /// The one of that id that was interrupted.
    pub(crate) fn interrupted(id: &str, environment: &Environment) -> Result<Self, Failure> {
        let place = Place::of(id, environment);
        match place.find()? {
            Some(kept) => Ok(Self { done: place.done(), ..Self::of(kept, place) }),
            None => Err(Failure::new(Exit::NotFound, format!("no submission `{id}` is under way here"))
                .with_hint(match place.others()[..] {
                    [] => "there is none at all: the last one was complete".to_owned(),
                    ref others => format!("under way are: {}", others.join(", ")),
                })),
        }
    }

    fn of(kept: Kept, place: Place) -> Self {
        let total = kept.blueprints.iter().map(|blueprint| blueprint.plan.len()).sum();
        Self { kept, place, done: 0, total }
    }

    /// A single task is there or not; of more, some can be there and some not.
    fn can_be_interrupted(&self) -> bool {
        self.total > 1
    }

    /// Where it was sent to.
    pub(crate) fn address(&self) -> &String {
        &self.kept.address
    }

    /// Whose tasks they are.
    pub(crate) fn user(&self) -> &String {
        &self.kept.user
    }

    /// How many tasks it has.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// How many of them the coordinator is known to have.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// The id to go on with, and what to type.
    pub(crate) fn how_to_go_on(&self) -> String {
        format!("mito submit --resume {}", self.kept.id)
    }

    /// Sends what the coordinator does not have yet, and tells `on_accepted` of each portion that it has
    /// taken. When this fails it can be taken up again.
    pub(crate) async fn send(
        mut self,
        user: &UserClient,
        mut on_accepted: impl FnMut(Accepted<'_>),
    ) -> Result<u64, Failure> {
        let expansions: Vec<Expansion<'_>> =
            self.kept.blueprints.iter().map(Blueprint::expand).collect::<Result<_, _>>()?;
        let total = self.total;
        let mut tasks = tasks_from(&expansions, self.done).peekable();
        if self.done == 0 && self.can_be_interrupted() {
            self.place.keep(&self.kept)?;
        }
        while tasks.peek().is_some() {
            let portion = take_portion(&mut tasks);
            let groups: Vec<String> = portion.iter().map(|task| task.group_name.clone()).collect();
            let key = format!("mito-submit:{}:{}", self.kept.id, self.done);
            let request = SubmitTasksRequest { tasks: portion, idempotency_key: Some(key) };
            let reply =
                patiently(|| user.submit_many(&request)).await.map_err(|failure| self.explain(failure))?;
            let replayed = reply.replayed;
            let accepted = all_accepted(reply, groups).inspect_err(|_| {
                if self.done == 0 {
                    self.place.forget();
                }
            })?;
            self.done += accepted.len() as u64;
            on_accepted(Accepted { tasks: &accepted, replayed, so_far: self.done, total });
            if self.done < total {
                self.place.note_done(self.done)?;
            }
        }
        self.place.forget();
        Ok(total)
    }

    /// What to do about a submission that did not come to its end.
    fn explain(&self, error: ClientError) -> Failure {
        let never_begun = self.done == 0 && error.status().is_some_and(|status| status < 500);
        if never_begun {
            self.place.forget();
        }
        if error.code() == Some(ErrorCode::KeyReused) {
            return another_under_this_name(&self.kept.id);
        }
        if never_begun || !self.can_be_interrupted() {
            return error.into();
        }
        Failure::from(error)
            .with_hint(format!("go on with `{}`: no task is submitted twice", self.how_to_go_on()))
    }
}

fn draw_id() -> String {
    let mut id = OsEntropy.uuid().simple().to_string();
    id.truncate(ID_LETTERS);
    id
}

fn another_under_this_name(id: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the name `{id}` stands for another submission"))
        .with_hint("choose another name; the same name only submits the very same tasks")
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

/// At least one task, and as many as fit into a request. The same position always gives the same ones.
fn take_portion(
    tasks: &mut std::iter::Peekable<impl Iterator<Item = SubmitTaskRequest>>,
) -> Vec<SubmitTaskRequest> {
    let mut portion = Vec::new();
    let mut bytes = 0;
    while portion.len() < PORTION {
        let Some(task) = tasks.next_if(|task| portion.is_empty() || bytes + weight(task) <= PORTION_BYTES)
        else {
            break;
        };
        bytes += weight(&task);
        portion.push(task);
    }
    portion
}

/// Roughly the bytes of a task.
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

/// Tasks were checked before they were sent, so a refusal is about the caller or the group.
fn all_accepted(
    reply: SubmitTasksReply,
    groups: Vec<String>,
) -> Result<Vec<(SubmitTaskReply, String)>, Failure> {
    if reply.results.len() != groups.len() {
        return Err(Failure::new(Exit::Fault, "the coordinator answered for another number of tasks"));
    }
    let each = reply.results.into_iter().zip(groups);
    each.map(|(outcome, group)| match outcome {
        SubmitOutcome::Ok(task) => Ok((task, group)),
        SubmitOutcome::Err(refusal) => Err(Failure::refused(refusal)),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mitosis_domain::sweep::{Column, Factor, Plan, Values};
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

    /// `mito run` keeps the code of the coordinator, too.
    #[test]
    fn refusal_keeps_the_code_of_the_coordinator() {
        let refusal = ErrorBody {
            code: Some(ErrorCode::QuotaExceeded),
            msg: "the group is full".into(),
            hint: Some("ask an administrator".into()),
            request_id: None,
        };
        let reply = SubmitTasksReply { results: vec![SubmitOutcome::Err(refusal)], replayed: false };
        let failure = all_accepted(reply, vec!["lab".into()]).unwrap_err();
        assert_eq!((failure.exit(), failure.code()), (Exit::Forbidden, "quota_exceeded"));
        assert!(failure.to_string().contains("hint: ask an administrator"), "{failure}");
    }

    #[test]
    fn any_position_leads_into_the_right_blueprint() {
        let blueprints = [blueprint("1..3", "a"), blueprint("1..2", "b")];
        let expansions: Vec<_> = blueprints.iter().map(|one| one.expand().unwrap()).collect();
        let all = ["a1", "a2", "a3", "b1", "b2"];
        for position in 0..=5 {
            let from = words(tasks_from(&expansions, position as u64));
            assert_eq!(from, all[position..], "from {position}");
        }
    }

    #[test]
    fn what_goes_on_begins_after_what_is_known_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::from([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let place = Place::of("night", &environment);
        let (address, user) = ("http://c".to_owned(), "ann".to_owned());
        let blueprints = vec![blueprint("1..25000", "a")];
        place.keep(&Kept { id: "night".to_owned(), address, user, blueprints }).unwrap();
        let at = || Submission::interrupted("night", &environment).map(|there| (there.done(), there.total()));
        assert_eq!(at().unwrap(), (0, 25_000));
        place.note_done(10_000).unwrap();
        assert_eq!(at().unwrap(), (10_000, 25_000));
        place.forget();
        assert_eq!(at().unwrap_err().exit(), Exit::NotFound);
    }

    #[test]
    fn portions_cover_everything_and_their_borders_do_not_depend_on_where_one_began() {
        let blueprints = [blueprint("1..25000", "a")];
        let expansions = [blueprints[0].expand().unwrap()];
        let lengths = |position| {
            let mut tasks = tasks_from(&expansions, position).peekable();
            let mut lengths = Vec::new();
            while tasks.peek().is_some() {
                lengths.push(take_portion(&mut tasks).len());
            }
            lengths
        };
        assert_eq!(lengths(0), [10_000, 10_000, 5_000]);
        assert_eq!(lengths(10_000), [10_000, 5_000]);
    }

    #[test]
    fn a_portion_of_large_tasks_stays_within_what_a_request_may_have() {
        let large = "x".repeat(1_000_000);
        let blueprints = [blueprint("1..100", &large)];
        let expansions = [blueprints[0].expand().unwrap()];
        let portion = take_portion(&mut tasks_from(&expansions, 0).peekable());
        assert!((30..=33).contains(&portion.len()), "{}", portion.len());
        let body = serde_json::to_vec(&SubmitTasksRequest { tasks: portion, idempotency_key: None }).unwrap();
        assert!(body.len() < PORTION_BYTES + 1_000_000);
    }
}
