//! Resolves selectors of jobs and of their tasks.
//!
//! A name means the caller's newest job of that name, else the newest one that the caller can see. A name such as
//! `ann-42` that no job has is the number of a task in a group, as for `mito client`.

use mitosis_client::{ClientError, UserClient};
use mitosis_domain::filter::Filter;
use mitosis_domain::selector::{JobSelector, Selector, TaskSelector, TaskSet, TaskStateFilter};
use mitosis_protocol::Uuid;
use mitosis_protocol::job::{
    JobInfo, JobTask, JobTasksRequest, JobsRequest, MAX_PAGE, TaskCondition, TaskSelection,
};
use mitosis_sweep::retry_transient;

use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

const LIST_HINT: &str = "`mito ls` lists your jobs";

/// What a selector selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Tasks of a job.
    Job(i64, TaskSet),
    /// One task by its UUID.
    Task(Uuid),
}

impl Target {
    /// The selector with the number of the job: `12`, `12/7`, or a UUID.
    pub(super) fn selector(&self) -> String {
        match self {
            Self::Job(job, TaskSet::All) => job.to_string(),
            Self::Job(job, tasks) => format!("{job}/{tasks}"),
            Self::Task(uuid) => uuid.to_string(),
        }
    }
}

/// Separates selectors of jobs and their tasks from other words: conditions, UUIDs, and lists of tasks.
pub(super) fn split(words: &[String]) -> (Vec<Selector>, Vec<String>) {
    let (mut selectors, mut others) = (Vec::new(), Vec::new());
    for word in words {
        match word.parse() {
            Ok(selector @ Selector::Job(..)) if !Filter::is_condition(word) => selectors.push(selector),
            Ok(selector) if name_of(&selector).is_some() => selectors.push(selector),
            _ => others.push(word.clone()),
        }
    }
    (selectors, others)
}

/// Resolves selectors, in their order.
pub(super) async fn targets(selectors: &[Selector], identity: &Identity) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::with_capacity(selectors.len());
    for selector in selectors {
        let target = target(selector, identity).await?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Resolves a selector.
pub(super) async fn target(selector: &Selector, identity: &Identity) -> Result<Target, Failure> {
    let client = &identity.client;
    match selector {
        Selector::Job(job, tasks) => match number(job, identity).await? {
            Some(number) => Ok(Target::Job(number, tasks.clone())),
            None => match task_in_group(&selector.to_string(), client).await? {
                Some(uuid) => Ok(Target::Task(uuid)),
                None => Err(no_such_job(job)),
            },
        },
        Selector::Uuid(uuid) => Ok(Target::Task(*uuid)),
        Selector::UuidPrefix(_) => {
            let text = selector.to_string();
            match retry_transient(|| client.find_task(&text)).await {
                Ok(task) => Ok(Target::Task(task.uuid)),
                Err(error) if error.status() == Some(404) => match name_of(selector) {
                    Some(name) => match number(&name, identity).await? {
                        Some(job) => Ok(Target::Job(job, TaskSet::All)),
                        None => Err(Failure::from(error)),
                    },
                    None => Err(error.into()),
                },
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// The job that a start of a UUID may mean instead: `cafe` is a name, too.
fn name_of(selector: &Selector) -> Option<JobSelector> {
    match selector {
        Selector::UuidPrefix(prefix) => prefix.to_string().parse().ok(),
        Selector::Job(..) | Selector::Uuid(_) => None,
    }
}

/// Resolves selectors of whole jobs.
pub(super) async fn whole_jobs(
    selectors: &[Selector],
    command: &str,
    identity: &Identity,
) -> Result<Vec<i64>, Failure> {
    let mut jobs = Vec::with_capacity(selectors.len());
    for selector in selectors {
        let job = whole_job(selector, command, identity).await?;
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    }
    Ok(jobs)
}

/// Resolves the selector of a whole job.
pub(super) async fn whole_job(
    selector: &Selector,
    command: &str,
    identity: &Identity,
) -> Result<i64, Failure> {
    if let Some(name) = name_of(selector) {
        return existing(&name, identity).await;
    }
    match selector {
        Selector::Job(job, TaskSet::All) => existing(job, identity).await,
        other => Err(Failure::new(Exit::Usage, format!("`{command}` takes whole jobs, not `{other}`"))
            .with_hint("write the number of a job, its name, or `last`")),
    }
}

/// The number of a job.
pub(super) async fn existing(job: &JobSelector, identity: &Identity) -> Result<i64, Failure> {
    number(job, identity).await?.ok_or_else(|| no_such_job(job))
}

/// The number of a job; `None` if no job has the name.
async fn number(job: &JobSelector, identity: &Identity) -> Result<Option<i64>, Failure> {
    let newest = async |request: JobsRequest| {
        let request = JobsRequest { limit: Some(1), ..request };
        let reply = retry_transient(|| identity.client.jobs(&request)).await?;
        Ok::<_, ClientError>(reply.jobs.first().map(|job| job.job))
    };
    let own = JobsRequest { creator: Some(identity.name.clone()), ..JobsRequest::default() };
    match job {
        JobSelector::Number(number) => Ok(i64::try_from(number.get()).ok()),
        JobSelector::Last => Ok(newest(own).await?),
        JobSelector::Name(name) => {
            let name = Some(name.as_str().to_owned());
            match newest(JobsRequest { name: name.clone(), ..own }).await? {
                Some(job) => Ok(Some(job)),
                None => Ok(newest(JobsRequest { name, ..JobsRequest::default() }).await?),
            }
        }
    }
}

/// The task that `ann-42` or `ann/42` selects for `mito client`; `None` for another text, and for an unknown task.
async fn task_in_group(selector: &str, client: &UserClient) -> Result<Option<Uuid>, Failure> {
    let Ok(TaskSelector::Number(..)) = selector.parse() else { return Ok(None) };
    match retry_transient(|| client.find_task(selector)).await {
        Ok(task) => Ok(Some(task.uuid)),
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn no_such_job(job: &JobSelector) -> Failure {
    let (sentence, hint) = match job {
        JobSelector::Last => (
            "you have no jobs".to_owned(),
            "`mito submit -- CMD` submits one; `mito ls -a` lists those of your groups",
        ),
        JobSelector::Name(name) => (format!("there is no job with the name `{name}`"), LIST_HINT),
        JobSelector::Number(number) => (format!("there is no job {number}"), LIST_HINT),
    };
    Failure::new(Exit::NotFound, sentence).with_hint(hint)
}

/// The tasks of a job as a request selects them.
pub(super) fn selection(tasks: &TaskSet) -> TaskSelection {
    match tasks {
        TaskSet::All => TaskSelection::default(),
        TaskSet::Indices(ranges) => TaskSelection {
            indices: ranges.ranges().map(|range| (*range.start(), *range.end())).collect(),
            states: Vec::new(),
        },
        TaskSet::State(state) => TaskSelection { indices: Vec::new(), states: conditions(*state) },
    }
}

/// The states of a filter. A blocked task counts as waiting: its job waits as a whole.
fn conditions(state: TaskStateFilter) -> Vec<TaskCondition> {
    use TaskCondition as C;
    match state {
        TaskStateFilter::Waiting | TaskStateFilter::Blocked => vec![C::Waiting],
        TaskStateFilter::Running => vec![C::Running],
        TaskStateFilter::Succeeded => vec![C::Succeeded],
        TaskStateFilter::Failed => vec![C::Failed, C::TimedOut],
        TaskStateFilter::Cancelled => vec![C::Cancelled],
        TaskStateFilter::Ended => vec![C::Succeeded, C::Failed, C::TimedOut, C::Cancelled],
        TaskStateFilter::Unfinished => vec![C::Waiting, C::Running],
    }
}

/// The selected tasks in the order of their indices, at most `most`.
pub(super) async fn tasks(
    client: &UserClient,
    job: i64,
    selection: &TaskSelection,
    most: u64,
) -> Result<Vec<JobTask>, Failure> {
    read_tasks(client, job, selection, most, most.min(MAX_PAGE), |_| true).await
}

/// Those of the selected tasks that match, at most `most`. All tasks of the job are read until then.
pub(super) async fn tasks_where(
    client: &UserClient,
    job: i64,
    selection: &TaskSelection,
    most: u64,
    matches: impl Fn(&JobTask) -> bool,
) -> Result<Vec<JobTask>, Failure> {
    read_tasks(client, job, selection, most, MAX_PAGE, matches).await
}

async fn read_tasks(
    client: &UserClient,
    job: i64,
    selection: &TaskSelection,
    most: u64,
    page_size: u64,
    matches: impl Fn(&JobTask) -> bool,
) -> Result<Vec<JobTask>, Failure> {
    let mut tasks = Vec::new();
    let mut request = JobTasksRequest {
        selection: selection.clone(),
        limit: Some(page_size),
        ..JobTasksRequest::default()
    };
    loop {
        let page = retry_transient(|| client.job_tasks(job, &request)).await?;
        let left = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(tasks.len());
        tasks.extend(page.tasks.into_iter().filter(|task| matches(task)).take(left));
        match page.next {
            Some(next) if (tasks.len() as u64) < most => request.after = Some(next),
            _ => return Ok(tasks),
        }
    }
}

/// Reads jobs by their numbers, in the order of the numbers. A missing one is an error.
pub(super) async fn infos(client: &UserClient, jobs: &[i64]) -> Result<Vec<JobInfo>, Failure> {
    let mut found = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(usize::try_from(MAX_PAGE).unwrap_or(usize::MAX)) {
        let request = JobsRequest { jobs: Some(some.to_vec()), ..JobsRequest::default() };
        found.extend(retry_transient(|| client.jobs(&request)).await?.jobs);
    }
    let place = |job: &i64| found.iter().position(|info| info.job == *job).ok_or_else(|| missing(*job));
    let places = jobs.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok(places.into_iter().map(|place| found[place].clone()).collect())
}

/// The failure for a job that does not exist, or that the caller may not see.
pub(super) fn missing(job: i64) -> Failure {
    Failure::new(Exit::NotFound, format!("there is no job {job}")).with_hint(LIST_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_of_tasks_becomes_a_selection() {
        let of = |text: &str| selection(&text.parse().unwrap());
        assert_eq!(of("1-50,60").indices, [(1, 50), (60, 60)]);
        assert_eq!(of("failed").states, [TaskCondition::Failed, TaskCondition::TimedOut]);
        assert_eq!(of("ended").states.len() + of("unfinished").states.len(), 6);
        assert_eq!(selection(&TaskSet::All), TaskSelection::default());
    }

    #[test]
    fn jobs_are_separated_from_tasks_and_conditions() {
        let words = [
            "12",
            "train/failed",
            "last",
            "label=exp1",
            "3f0c9a3e",
            "cafe",
            "ann-1,ann-2",
            "12/1-50,60",
            "exit!=0",
        ];
        let (jobs, others) = split(&words.map(str::to_owned));
        let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        assert_eq!(jobs, ["12", "train/failed", "last", "cafe", "12/1-50,60"], "cafe may be a name");
        assert_eq!(others, ["label=exp1", "3f0c9a3e", "ann-1,ann-2", "exit!=0"]);
    }

    #[test]
    fn target_has_a_selector_with_the_number_of_its_job() {
        let of = |tasks: &str| Target::Job(12, tasks.parse().unwrap()).selector();
        assert_eq!(
            (of("7"), of("1-50"), of("failed")),
            ("12/7".into(), "12/1-50".into(), "12/failed".into())
        );
        assert_eq!(Target::Job(12, TaskSet::All).selector(), "12");
        assert_eq!(Target::Task(Uuid::nil()).selector(), Uuid::nil().to_string());
    }
}
