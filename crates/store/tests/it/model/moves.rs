//! The possible moves and their probabilities. Tasks, workers and attempts are named by the order of their
//! creation.

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::worker::ShutdownOp;
use proptest::prelude::*;

use super::world::World;

/// The properties of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskShape {
    pub(super) priority: i32,
    pub(super) gpu: bool,
}

/// How a holder identifies itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum HolderForm {
    Key,
    Worker,
}

/// An idempotency key, and which of two requests uses it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: u8,
    pub(super) request: u8,
}

/// The exchange of one agent.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) worker: usize,
    /// Attempts, possibly of others, with their end and exit status.
    pub(super) ended: Vec<(usize, ExecEnd, i32)>,
    pub(super) returned: Vec<usize>,
    pub(super) want: usize,
}

/// One operation on the store.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Submit { shapes: Vec<TaskShape>, key: Option<Key> },
    Register { gpu: bool, listens: bool },
    Exchange { parts: Vec<Part> },
    Claim { worker: usize, count: usize },
    Fetch { worker: usize },
    Report { attempt: usize, way: HolderForm, end: ExecEnd },
    Complete { attempt: usize, way: HolderForm, end: Option<ExecEnd>, exit_status: i32 },
    FollowUp { attempt: usize, way: HolderForm, shape: TaskShape },
    Announce { attempt: usize, way: HolderForm, size: i64 },
    RequestStop { task: usize },
    Cancel { tasks: Vec<usize>, pending_too: bool },
    Prioritise { task: usize, priority: i32 },
    Renew { worker: usize },
    Stop { worker: usize, op: ShutdownOp },
    Pass { seconds: u64 },
    Reap { limit: u32 },
    Restart,
}

fn shape() -> impl Strategy<Value = TaskShape> {
    (-1..=1, prop::bool::weighted(0.3)).prop_map(|(priority, gpu)| TaskShape { priority, gpu })
}

fn way() -> impl Strategy<Value = HolderForm> {
    prop_oneof![Just(HolderForm::Key), Just(HolderForm::Worker)]
}

fn end() -> impl Strategy<Value = ExecEnd> {
    prop_oneof![Just(ExecEnd::Finished), Just(ExecEnd::Cancelled)]
}

fn key() -> impl Strategy<Value = Option<Key>> {
    prop::option::weighted(0.3, (0..3_u8, 0..2_u8).prop_map(|(name, request)| Key { name, request }))
}

/// One of `made` items; more often one of the latest, which have more possible moves.
fn one_of(made: usize) -> impl Strategy<Value = usize> + Clone {
    prop_oneof![2 => made.saturating_sub(4)..made, 1 => 0..made]
}

type Choice = (u32, BoxedStrategy<Move>);

/// Moves that are possible at any time.
fn always() -> Vec<Choice> {
    let submit = (prop::collection::vec(shape(), 1..4), key());
    let seconds =
        prop_oneof![1 => Just(1_u64), 1 => Just(59), 3 => Just(60), 1 => Just(2_459), 1 => Just(2_460)];
    vec![
        (6, submit.prop_map(|(shapes, key)| Move::Submit { shapes, key }).boxed()),
        (
            4,
            (any::<bool>(), any::<bool>()).prop_map(|(gpu, listens)| Move::Register { gpu, listens }).boxed(),
        ),
        (3, seconds.prop_map(|seconds| Move::Pass { seconds }).boxed()),
        (4, (1..4_u32).prop_map(|limit| Move::Reap { limit }).boxed()),
        (1, Just(Move::Restart).boxed()),
    ]
}

/// Moves of and on workers.
fn of_workers(workers: usize) -> Vec<Choice> {
    let worker = one_of(workers);
    let op = prop_oneof![Just(ShutdownOp::Graceful), Just(ShutdownOp::Force)];
    vec![
        (8, (worker.clone(), 1..4_usize).prop_map(|(worker, count)| Move::Claim { worker, count }).boxed()),
        (3, worker.clone().prop_map(|worker| Move::Fetch { worker }).boxed()),
        (4, worker.clone().prop_map(|worker| Move::Renew { worker }).boxed()),
        (2, (worker, op).prop_map(|(worker, op)| Move::Stop { worker, op }).boxed()),
    ]
}

/// Exchanges of several agents in one batch, at most one for each agent.
fn exchange(workers: usize, attempts: usize) -> BoxedStrategy<Move> {
    let attempts_of_part = |most: usize| match attempts {
        0 => Just(Vec::new()).boxed(),
        made => prop::collection::vec(one_of(made), 0..most).boxed(),
    };
    let said = (attempts_of_part(4), end(), 0..1_000)
        .prop_map(|(attempts, end, status)| attempts.into_iter().map(|at| (at, end, status)).collect());
    let part = (one_of(workers), said, attempts_of_part(3), 0..4_usize)
        .prop_map(|(worker, ended, returned, want)| Part { worker, ended, returned, want });
    prop::collection::vec(part, 1..4)
        .prop_map(|mut parts| {
            parts.sort_by_key(|part| part.worker);
            parts.dedup_by_key(|part| part.worker);
            Move::Exchange { parts }
        })
        .boxed()
}

/// Reports of attempts, whether they still hold their tasks or not.
fn of_attempts(attempts: usize) -> Vec<Choice> {
    let attempt = one_of(attempts);
    let complete = (attempt.clone(), way(), prop::option::of(end()), 0..1_000);
    vec![
        (
            6,
            (attempt.clone(), way(), end())
                .prop_map(|(attempt, way, end)| Move::Report { attempt, way, end })
                .boxed(),
        ),
        (
            8,
            complete
                .prop_map(|(attempt, way, end, exit_status)| Move::Complete {
                    attempt,
                    way,
                    end,
                    exit_status,
                })
                .boxed(),
        ),
        (
            3,
            (attempt.clone(), way(), shape())
                .prop_map(|(attempt, way, shape)| Move::FollowUp { attempt, way, shape })
                .boxed(),
        ),
        (
            2,
            (attempt, way(), 0..1_000_i64)
                .prop_map(|(attempt, way, size)| Move::Announce { attempt, way, size })
                .boxed(),
        ),
    ]
}

/// Moves of users on their tasks.
fn of_tasks(tasks: usize) -> Vec<Choice> {
    let some = prop::collection::vec(one_of(tasks), 1..3);
    vec![
        (
            2,
            (some, any::<bool>())
                .prop_map(|(tasks, pending_too)| Move::Cancel { tasks, pending_too })
                .boxed(),
        ),
        (2, one_of(tasks).prop_map(|task| Move::RequestStop { task }).boxed()),
        (2, (one_of(tasks), -2..=2).prop_map(|(task, priority)| Move::Prioritise { task, priority }).boxed()),
    ]
}

/// The possible next moves.
pub(super) fn next(world: &World) -> BoxedStrategy<Move> {
    let mut choices = always();
    if !world.workers.is_empty() {
        choices.extend(of_workers(world.workers.len()));
        choices.push((10, exchange(world.workers.len(), world.attempts.len())));
    }
    if !world.attempts.is_empty() {
        choices.extend(of_attempts(world.attempts.len()));
    }
    if !world.tasks.is_empty() {
        choices.extend(of_tasks(world.tasks.len()));
    }
    prop::strategy::Union::new_weighted(choices).boxed()
}

/// Whether everything that the move names exists; in a shortened history, it may not.
pub(super) fn is_possible(world: &World, next: &Move) -> bool {
    match next {
        Move::Claim { worker, .. }
        | Move::Fetch { worker }
        | Move::Renew { worker }
        | Move::Stop { worker, .. } => *worker < world.workers.len(),
        Move::Report { attempt, .. }
        | Move::Complete { attempt, .. }
        | Move::FollowUp { attempt, .. }
        | Move::Announce { attempt, .. } => *attempt < world.attempts.len(),
        Move::Cancel { tasks, .. } => tasks.iter().all(|task| *task < world.tasks.len()),
        Move::Exchange { parts } => parts.iter().all(|part| {
            let ended = part.ended.iter().map(|(attempt, _, _)| attempt);
            part.worker < world.workers.len()
                && ended.chain(&part.returned).all(|attempt| *attempt < world.attempts.len())
        }),
        Move::RequestStop { task } | Move::Prioritise { task, .. } => *task < world.tasks.len(),
        Move::Submit { .. }
        | Move::Register { .. }
        | Move::Pass { .. }
        | Move::Reap { .. }
        | Move::Restart => true,
    }
}
