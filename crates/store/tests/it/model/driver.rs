//! Makes the moves in a store, and returns their outcomes in the terms of the model.

use std::sync::Arc;

use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::{ArtifactKind, LeaseToken};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{
    Assigned, Assignment, Completed, Completion, EndReport, Ended, Exchange, FollowUp, Holder, Verdict,
};
use mitosis_store::ops::tasks::{
    CancelSelection, IdempotencyKey, NewTask, StopRequested, Submission, TaskChange,
};
use uuid::Uuid;

use super::moves::{HolderForm, Key, Move, Part, TaskShape};
use super::world::Outcome;
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Claimed, Harness, Person, RegisteredWorker, TERMS, status, tag_set};

/// A store, and the model's names of its tasks, workers and attempts.
pub(super) struct Driver<B> {
    pub(super) harness: Harness<B>,
    pub(super) ann: Person,
    pub(super) tasks: Vec<Uuid>,
    pub(super) workers: Vec<RegisteredWorker>,
    pub(super) attempts: Vec<(LeaseKey, RegisteredWorker)>,
}

impl<B: Backend> Driver<B> {
    pub(super) async fn set_up() -> Self {
        let harness = Harness::set_up().await;
        let ann = harness.person("ann").await;
        Self { harness, ann, tasks: Vec::new(), workers: Vec::new(), attempts: Vec::new() }
    }

    pub(super) async fn make(&mut self, next: &Move) -> Outcome {
        match next {
            Move::Submit { shapes, key } => self.submit(shapes, *key).await,
            Move::Register { gpu, listens } => self.register(*gpu, *listens).await,
            Move::Exchange { parts } => self.exchange(parts).await,
            Move::RequestStop { task } => self.request_stop(*task).await,
            Move::Claim { worker, count } => self.claim(*worker, *count).await,
            Move::Fetch { worker } => self.fetch(*worker).await,
            Move::Report { attempt, way, end } => {
                match self.harness.report(self.holder(*attempt, *way), *end).await {
                    EndReport::Recorded => Outcome::Recorded,
                    EndReport::NotHeld => Outcome::NotHeld,
                }
            }
            Move::Complete { attempt, way, end, exit_status } => {
                Outcome::Completed(self.complete(*attempt, *way, *end, *exit_status).await)
            }
            Move::FollowUp { attempt, way, shape } => self.follow_up(*attempt, *way, *shape).await,
            Move::Announce { attempt, way, size } => self.announce(*attempt, *way, *size).await,
            Move::Cancel { tasks, pending_too } => self.cancel(tasks, *pending_too).await,
            Move::Prioritise { task, priority } => self.prioritise(*task, *priority).await,
            Move::Renew { worker } => self.renew(*worker).await,
            Move::Stop { worker, op } => {
                let uuid = self.workers[*worker].uuid;
                Outcome::Stopped(
                    self.harness
                        .store()
                        .stop_worker(Actor::System, uuid, *op, self.harness.now)
                        .await
                        .answer(),
                )
            }
            Move::Pass { .. } => Outcome::Done,
            Move::Reap { limit } => self.reap(*limit).await,
            Move::Restart => self.restart().await,
        }
    }

    fn holder(&self, attempt: usize, way: HolderForm) -> Holder {
        let (lease, registered) = self.attempts[attempt];
        match way {
            HolderForm::Key => Holder::Lease(lease),
            HolderForm::Worker => Holder::Worker(registered.id, lease.task),
        }
    }

    fn task_at(&self, uuid: Uuid) -> usize {
        self.tasks.iter().position(|known| *known == uuid).expect("a task that was made")
    }

    fn tasks_at(&self, uuids: impl IntoIterator<Item = Uuid>) -> Vec<usize> {
        uuids.into_iter().map(|uuid| self.task_at(uuid)).collect()
    }

    fn new_task(&self, TaskShape { priority, gpu }: TaskShape) -> NewTask {
        let tags = tag_set(if gpu { "gpu" } else { "" });
        NewTask { priority, tags, ..self.harness.task(self.ann.group) }
    }

    async fn submit(&mut self, shapes: &[TaskShape], key: Option<Key>) -> Outcome {
        let new: Vec<NewTask> = shapes.iter().map(|shape| self.new_task(*shape)).collect();
        let key = key.map(|Key { name, request }| {
            let mut digest = [request; 32];
            digest[0] = u8::try_from(shapes.len()).expect("a move submits a few tasks");
            IdempotencyKey { key: name.to_string(), digest, refused: vec![] }
        });
        let outcome = self.harness.store().submit(self.ann.user, &new, key.as_ref(), self.harness.now).await;
        match outcome.answer() {
            Submission::Accepted(ids) => {
                self.tasks.extend(new.iter().map(|task| task.uuid));
                Outcome::Accepted(self.tasks_at(ids.iter().map(|ids| ids.uuid)))
            }
            Submission::Replayed(ids) => {
                Outcome::Replayed(self.tasks_at(ids.iter().flatten().map(|ids| ids.uuid)))
            }
            Submission::KeyReused => Outcome::KeyReused,
            Submission::Denied => panic!("ann may submit to her own group"),
        }
    }

    async fn register(&mut self, gpu: bool, listens: bool) -> Outcome {
        let mut new = self.harness.new_worker(&self.ann);
        new.slots = listens.then_some(4);
        new.tags = tag_set(if gpu { "gpu" } else { "" });
        self.workers.push(self.harness.register(&new).await);
        Outcome::Done
    }

    /// One of two tokens, so that tokens are reused, and the rest of the key has to distinguish attempts.
    fn token(&self) -> LeaseToken {
        LeaseToken(self.harness.token().0 % 2)
    }

    async fn claim(&mut self, worker: usize, count: usize) -> Outcome {
        let registered = self.workers[worker];
        let claim = self.harness.ask(registered, count, self.token()).await;
        self.given(registered, claim)
    }

    /// An attempt with its key and its end is ended by an exchange, others by the legacy protocol.
    async fn complete(
        &self,
        attempt: usize,
        way: HolderForm,
        end: Option<ExecEnd>,
        exit_status: i32,
    ) -> Completed {
        let (_, registered) = self.attempts[attempt];
        let result = status(exit_status);
        let (HolderForm::Key, Some(end)) = (way, end) else {
            let holder = self.holder(attempt, way);
            return self.harness.complete(Completion { holder, end, result }).await;
        };
        let ended = vec![self.ended(attempt, end, exit_status)];
        let exchanged =
            self.harness.exchange_one(Exchange { ended, ..self.harness.nothing(registered) }).await;
        let [verdict] = exchanged.verdicts[..] else { panic!("one attempt, one verdict") };
        completed(verdict)
    }

    async fn exchange(&mut self, parts: &[Part]) -> Outcome {
        let of_part = |part: &Part| Exchange {
            worker: self.workers[part.worker].id,
            ended: part
                .ended
                .iter()
                .map(|(at, end, exit_status)| self.ended(*at, *end, *exit_status))
                .collect(),
            returned: part.returned.iter().map(|at| self.attempts[*at].0).collect(),
            want: part.want,
            has_room: false,
            token: self.token(),
        };
        let batch: Vec<Arc<Exchange>> = parts.iter().map(of_part).map(Arc::new).collect();
        let outcome = self.harness.store().exchange(&batch, self.harness.now.into()).await.answer();
        let mut answers = Vec::new();
        for (part, exchanged) in parts.iter().zip(outcome) {
            let given = match exchanged.assigned {
                Assigned::WorkerGone => Outcome::WorkerGone,
                Assigned::Stopping => Outcome::Stopping,
                Assigned::Work(work, _) => {
                    let registered = self.workers[part.worker];
                    Outcome::Assigned(
                        work.iter().map(|work| self.begun(registered, work.uuid, work.lease)).collect(),
                    )
                }
            };
            answers.push((exchanged.verdicts.into_iter().map(completed).collect(), given));
        }
        Outcome::Exchanged(answers)
    }

    fn ended(&self, attempt: usize, end: ExecEnd, exit_status: i32) -> Ended {
        Ended {
            lease: self.attempts[attempt].0,
            end,
            result: status(exit_status),
            data: None,
            warnings: Vec::new(),
            archives: Vec::new(),
            usage: None,
        }
    }

    async fn request_stop(&self, task: usize) -> Outcome {
        match self.harness.request_stop(Actor::System, self.tasks[task]).await {
            StopRequested::Agent(uuid) => Outcome::StopRequested(self.worker_at(uuid)),
            StopRequested::LegacyWorker => Outcome::LegacyWorker,
            StopRequested::NotRunning => Outcome::NotRunning,
        }
    }

    fn worker_at(&self, uuid: Uuid) -> usize {
        self.workers.iter().position(|registered| registered.uuid == uuid).expect("a worker that came")
    }

    async fn fetch(&mut self, worker: usize) -> Outcome {
        let (registered, token) = (self.workers[worker], self.token());
        let claim = self
            .harness
            .store()
            .claim_or_resume(registered.id, token, self.harness.now.into())
            .await
            .answer();
        self.given(registered, claim)
    }

    fn given(&mut self, registered: RegisteredWorker, claim: impl Into<Claimed>) -> Outcome {
        let assignments = match claim.into() {
            Claimed::WorkerGone => return Outcome::WorkerGone,
            Claimed::Stopping => return Outcome::Stopping,
            Claimed::Assigned(assignments) => assignments,
        };
        let begun = |held: Assignment| self.begun(registered, held.task.uuid, held.lease);
        Outcome::Assigned(assignments.into_iter().map(begun).collect())
    }

    /// A task with its attempt, which may be known already.
    fn begun(&mut self, registered: RegisteredWorker, task: Uuid, lease: LeaseKey) -> (usize, usize) {
        let known = self.attempts.iter().position(|(known, _)| *known == lease);
        let attempt = known.unwrap_or(self.attempts.len());
        if known.is_none() {
            self.attempts.push((lease, registered));
        }
        (self.task_at(task), attempt)
    }

    async fn follow_up(&mut self, attempt: usize, way: HolderForm, shape: TaskShape) -> Outcome {
        let (new, holder) = (self.new_task(shape), self.holder(attempt, way));
        match self.harness.store().submit_follow_up(holder, &new, self.harness.now).await.answer() {
            FollowUp::Created(ids) => {
                self.tasks.push(new.uuid);
                Outcome::Accepted(vec![self.task_at(ids.uuid)])
            }
            FollowUp::NotHeld => Outcome::NotHeld,
            FollowUp::TooEarly => Outcome::TooEarly,
            other => panic!("{other:?}"),
        }
    }

    async fn announce(&self, attempt: usize, way: HolderForm, size: i64) -> Outcome {
        let (holder, kind) = (self.holder(attempt, way), ArtifactKind::Result);
        let store = self.harness.store();
        match store.reserve_attempt_artifact(holder, kind, size, self.harness.now).await.answer() {
            Reservation::Reserved { .. } => Outcome::Reserved,
            Reservation::NoSuchTask => Outcome::NotHeld,
            other => panic!("{other:?}"),
        }
    }

    async fn cancel(&self, tasks: &[usize], pending_too: bool) -> Outcome {
        let named = tasks.iter().map(|at| self.tasks[*at]).collect();
        let selection =
            if pending_too { CancelSelection::Waiting(named) } else { CancelSelection::Ready(named) };
        let cancelled =
            self.harness.store().cancel(Actor::System, &selection, self.harness.now).await.answer();
        Outcome::Cancelled(self.tasks_at(cancelled))
    }

    async fn prioritise(&self, task: usize, priority: i32) -> Outcome {
        let change = TaskChange { priority: Some(priority), ..TaskChange::default() };
        let store = self.harness.store();
        Outcome::Changed(
            store.change_task(Actor::System, self.tasks[task], &change, self.harness.now).await.answer(),
        )
    }

    async fn renew(&self, worker: usize) -> Outcome {
        let id = self.workers[worker].id;
        let gone = self.harness.store().renew_leases(&[(id, TERMS)], self.harness.now.into()).await.unwrap();
        Outcome::Alive(gone.is_empty())
    }

    async fn reap(&self, limit: u32) -> Outcome {
        let reaped = self.harness.store().reap(self.harness.now.into(), limit).await.answer();
        let outcomes = reaped
            .into_iter()
            .map(|reaped| (self.worker_at(reaped.worker), reaped.reason, self.tasks_at(reaped.returned)));
        Outcome::Reaped(outcomes.collect())
    }

    async fn restart(&mut self) -> Outcome {
        self.harness.restart().await;
        Outcome::Done
    }
}

fn completed(verdict: Verdict) -> Completed {
    match verdict {
        Verdict::Committed(_) => Completed::Committed,
        Verdict::Replayed => Completed::Replayed,
        Verdict::Stale => Completed::Stale,
    }
}
