//! Compares the complete state of the store and of the model.

use mitosis_domain::task::{Attempt, Ending, ExecEnd, Phase};
use mitosis_protocol::{TaskResult, WaitStatus};
use mitosis_store::ops::query::TaskQuery;
use uuid::Uuid;

use super::driver::Driver;
use super::world::{ModelPhase, World};
use crate::backend::Backend;
use crate::harness::{LONG, status};

impl<B: Backend> Driver<B> {
    /// Compares every task and worker with the model.
    pub(super) async fn agrees_with(&self, world: &World) {
        for at in 0..world.tasks.len() {
            self.task_agrees(world, at).await;
        }
        for (at, registered) in self.workers.iter().enumerate() {
            let worker = self.harness.store().worker(registered.uuid).await.unwrap();
            assert_eq!(worker.is_some(), world.is_there(at), "worker {at}");
            let held: Vec<Uuid> = worker.map(|worker| worker.held).unwrap_or_default();
            let expected = world.held_by(at).into_iter();
            let expected: Vec<Uuid> =
                expected.map(|attempt| self.tasks[world.attempts[attempt].task]).collect();
            assert_eq!(held, expected, "what worker {at} holds");
        }
        let count = self
            .harness
            .store()
            .count_tasks(&TaskQuery::all_of(self.ann.group), u64::MAX, LONG)
            .await
            .unwrap()
            .at_least;
        let kept = world.tasks.iter().filter(|task| task.place != ModelPhase::Dropped).count();
        assert_eq!(count, kept as u64, "tasks in all");
    }

    async fn task_agrees(&self, world: &World, at: usize) {
        let model = &world.tasks[at];
        let task = self.harness.store().task(self.tasks[at]).await.unwrap();
        let Some(phase) = self.phase_of(world, model.place) else {
            assert_eq!(task, None, "task {at} was dropped");
            return;
        };
        let task = task.unwrap_or_else(|| panic!("task {at} disappeared: {model:?}"));
        assert_eq!(task.phase, phase, "task {at}");
        assert_eq!(task.priority, model.priority, "task {at}");
        assert_eq!(task.upstream, model.upstream.map(|at| self.tasks[at]), "task {at}");
        assert_eq!(task.downstream, model.downstream.map(|at| self.tasks[at]), "task {at}");
    }

    fn phase_of(&self, world: &World, place: ModelPhase) -> Option<Phase> {
        let worker_of = |attempt: usize| self.attempts[attempt].1.uuid;
        Some(match place {
            ModelPhase::Pending => Phase::Pending,
            ModelPhase::Ready => Phase::Ready,
            ModelPhase::Held(attempt) => {
                let held = &world.attempts[attempt];
                let (epoch, claimed_at) = (held.epoch, held.claimed_at);
                let attempt = Attempt { worker: worker_of(attempt), epoch, claimed_at };
                held.reported.map_or(Phase::Running(attempt), |end| Phase::Reported(attempt, end))
            }
            ModelPhase::Cancelled { at, why } => {
                let result = TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(why) };
                Phase::Ended(Ending {
                    end: ExecEnd::Cancelled,
                    result,
                    warnings: Vec::new(),
                    reporter: None,
                    at,
                })
            }
            ModelPhase::Committed { attempt, end, exit_status, at } => {
                let reporter = Some(worker_of(attempt));
                Phase::Ended(Ending { end, result: status(exit_status), warnings: Vec::new(), reporter, at })
            }
            ModelPhase::Dropped => return None,
        })
    }
}
