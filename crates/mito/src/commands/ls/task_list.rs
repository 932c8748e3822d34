//! The tasks that `mito ls` lists.

use mitosis_client::UserClient;
use mitosis_domain::selector::TaskSet;
use mitosis_protocol::job::{JobTask, TaskCondition, TaskSelection};

use crate::commands::select_jobs::{self, Target};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::JobTaskShown;

/// Which tasks to list, by their job.
pub(super) struct TaskList {
    parts: Vec<(i64, TaskSet)>,
    /// Parameters that they must have.
    params: Vec<(String, String)>,
}

impl TaskList {
    pub(super) fn new(targets: Vec<Target>, params: Vec<(String, String)>) -> Result<Self, Failure> {
        let part = |target| match target {
            Target::Job(job, tasks) => Ok((job, tasks)),
            Target::Task(uuid) => {
                Err(Failure::new(Exit::Usage, format!("`mito ls` lists the tasks of jobs, not `{uuid}`"))
                    .with_hint(format!("`mito show {uuid}` shows the task")))
            }
        };
        Ok(Self { parts: targets.into_iter().map(part).collect::<Result<_, _>>()?, params })
    }

    /// The jobs of the tasks, each once.
    pub(super) fn jobs(&self) -> Vec<i64> {
        let mut jobs = Vec::new();
        for (job, _) in &self.parts {
            if !jobs.contains(job) {
                jobs.push(*job);
            }
        }
        jobs
    }

    /// Reads the first tasks.
    pub(super) async fn read(&self, client: &UserClient, most: u64) -> Result<Vec<JobTaskShown>, Failure> {
        let selections = self.parts.iter().map(|(job, tasks)| (*job, select_jobs::selection(tasks)));
        self.read_selected(client, selections, most).await
    }

    /// Reads the tasks that fit into a number of rows: those that run or have failed, if there are too many.
    pub(super) async fn most_interesting(
        &self,
        client: &UserClient,
        rows: u64,
    ) -> Result<Vec<JobTaskShown>, Failure> {
        let all = self.read(client, rows.saturating_add(1)).await?;
        if all.len() as u64 <= rows {
            return Ok(all);
        }
        let interesting = [TaskCondition::Running, TaskCondition::Failed, TaskCondition::TimedOut];
        let narrowed = self.parts.iter().map(|(job, tasks)| {
            let mut selection = select_jobs::selection(tasks);
            if selection.states.is_empty() {
                selection.states = interesting.to_vec();
            }
            (*job, selection)
        });
        self.read_selected(client, narrowed, rows).await
    }

    async fn read_selected(
        &self,
        client: &UserClient,
        selections: impl Iterator<Item = (i64, TaskSelection)>,
        most: u64,
    ) -> Result<Vec<JobTaskShown>, Failure> {
        let is_wanted = |task: &JobTask| self.params.iter().all(|param| task.parameters.contains(param));
        let mut tasks = Vec::new();
        for (job, selection) in selections {
            let left = most.saturating_sub(tasks.len() as u64);
            if left == 0 {
                break;
            }
            let found = match self.params.is_empty() {
                true => select_jobs::tasks(client, job, &selection, left).await?,
                false => select_jobs::tasks_where(client, job, &selection, left, is_wanted).await?,
            };
            tasks.extend(found.into_iter().map(|task| JobTaskShown::new(job, task)));
        }
        Ok(tasks)
    }
}
