//! Counts the states of tasks for a progress bar.

use std::collections::HashSet;

use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{TaskState, Uuid};

use crate::show::Progress;
use crate::task_io::exit::TaskExit;
use crate::task_io::states::StateBatch;

/// Counts tasks by state.
#[derive(Debug, Default)]
pub(crate) struct TaskProgress {
    running: HashSet<Uuid>,
    ended: HashSet<Uuid>,
    failed: u64,
}

impl TaskProgress {
    /// Applies the state of a task. An event may be repeated.
    pub(crate) fn update(&mut self, task: &TaskEvent) {
        match TaskExit::from_event(task) {
            Some(outcome) => {
                self.running.remove(&task.uuid);
                if self.ended.insert(task.uuid) && !outcome.code().is_success() {
                    self.failed += 1;
                }
            }
            None if task.state == TaskState::Running => {
                self.running.insert(task.uuid);
            }
            None => {
                self.running.remove(&task.uuid);
            }
        }
    }

    /// Applies the ends of a batch, and replaces the running tasks.
    pub(crate) fn apply(&mut self, batch: &StateBatch) {
        batch.ended.iter().for_each(|task| self.update(task));
        self.running = batch.running.iter().map(|task| task.uuid).collect();
    }

    pub(crate) fn show(&self, progress: &Progress) {
        progress.set(self.ended.len() as u64);
        progress.say(self.message());
    }

    fn message(&self) -> String {
        let more = |count: u64, word: &str| match count {
            0 => String::new(),
            count => format!(", {count} {word}"),
        };
        let running = self.running.len() as u64;
        format!("tasks ended{}{}", more(running, "running"), more(self.failed, "failed"))
    }
}

#[cfg(test)]
mod tests {
    use TaskState as S;
    use mitosis_protocol::{TaskResult, Timestamp, WaitStatus};

    use super::*;

    #[test]
    fn repeated_events_count_a_task_once() {
        let mut task_progress = TaskProgress::default();
        let mut apply = |uuid: u128, state, exit_status: Option<i32>| {
            let event = TaskEvent {
                uuid: Uuid::from_u128(uuid),
                group_name: "lab".to_owned(),
                task_id: 1,
                state,
                result: exit_status.map(|status| TaskResult { exit_status: WaitStatus(status), msg: None }),
                at: Timestamp::UNIX_EPOCH,
                warnings: Vec::new(),
                exit_code: None,
            };
            task_progress.update(&event);
            task_progress.update(&event);
            (task_progress.ended.len(), task_progress.message())
        };
        assert_eq!(apply(1, S::Ready, None), (0, "tasks ended".to_owned()));
        assert_eq!(apply(1, S::Running, None), (0, "tasks ended, 1 running".to_owned()));
        assert_eq!(apply(2, S::Running, None), (0, "tasks ended, 2 running".to_owned()));
        assert_eq!(apply(1, S::Finished, Some(256)), (1, "tasks ended, 1 running, 1 failed".to_owned()));
        assert_eq!(apply(2, S::Ready, None), (1, "tasks ended, 1 failed".to_owned()), "given back");
        assert_eq!(apply(2, S::Finished, Some(0)), (2, "tasks ended, 1 failed".to_owned()));
    }

    #[test]
    fn batch_replaces_the_running_tasks() {
        let mut task_progress = TaskProgress::default();
        let task = |uuid: u128, exit_status: Option<i32>| TaskEvent {
            uuid: Uuid::from_u128(uuid),
            group_name: "lab".to_owned(),
            task_id: 1,
            state: if exit_status.is_some() { S::Finished } else { S::Running },
            result: exit_status.map(|status| TaskResult { exit_status: WaitStatus(status), msg: None }),
            at: Timestamp::UNIX_EPOCH,
            warnings: Vec::new(),
            exit_code: None,
        };
        let mut apply = |running: &[u128], ended: &[u128]| {
            let running = running.iter().map(|uuid| task(*uuid, None)).collect();
            let ended = ended.iter().map(|uuid| task(*uuid, Some(256))).collect();
            task_progress.apply(&StateBatch { running, ended });
            (task_progress.ended.len(), task_progress.message())
        };
        assert_eq!(apply(&[1, 2], &[]), (0, "tasks ended, 2 running".to_owned()));
        assert_eq!(apply(&[3], &[2]), (1, "tasks ended, 1 running, 1 failed".to_owned()), "1 is requeued");
    }
}
