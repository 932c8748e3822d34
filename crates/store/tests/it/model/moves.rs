//! What can happen, and how likely. Things are named by the order in which they were made.

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::worker::ShutdownOp;
use proptest::prelude::*;

use super::world::World;

/// What a task asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) priority: i32,
    pub(super) gpu: bool,
}

/// How a holder shows that it holds a task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Key,
    Worker,
}

/// An idempotency key, and which of two requests it came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: u8,
    pub(super) request: u8,
}

/// What one agent brings and wants in an exchange.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) worker: usize,
    /// Attempts, perhaps of others, with their end and exit status.
    pub(super) ended: Vec<(usize, ExecEnd, i32)>,
    pub(super) returned: Vec<usize>,
    pub(super) want: usize,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Submit { wishes: Vec<Wish>, key: Option<Key> },
    Register { gpu: bool, listens: bool },
    Exchange { parts: Vec<Part> },
    Claim { worker: usize, count: usize },
    Fetch { worker: usize },
    Report { attempt: usize, way: Way, end: ExecEnd },
    Complete { attempt: usize, way: Way, end: Option<ExecEnd>, exit_status: i32 },
    FollowUp { attempt: usize, way: Way, wish: Wish },
    Announce { attempt: usize, way: Way, size: i64 },
    AskToStop { task: usize },
    Cancel { tasks: Vec<usize>, pending_too: bool },
    Prioritise { task: usize, priority: i32 },
    Renew { worker: usize },
    Stop { worker: usize, op: ShutdownOp },
    Pass { seconds: u64 },
    Reap { limit: u32 },
    Restart,
}

fn wish() -> impl Strategy<Value = Wish> {
    (-1..=1, prop::bool::weighted(0.3)).prop_map(|(priority, gpu)| Wish { priority, gpu })
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Key), Just(Way::Worker)]
}

fn end() -> impl Strategy<Value = ExecEnd> {
    prop_oneof![Just(ExecEnd::Finished), Just(ExecEnd::Cancelled)]
}

fn key() -> impl Strategy<Value = Option<Key>> {
    prop::option::weighted(0.3, (0..3_u8, 0..2_u8).prop_map(|(name, request)| Key { name, request }))
}

/// One of so many; more often one of the latest, about which there is more to say.
fn one_of(made: usize) -> impl Strategy<Value = usize> + Clone {
    prop_oneof![2 => made.saturating_sub(4)..made, 1 => 0..made]
}

type Choice = (u32, BoxedStrategy<Move>);

/// Possible at any time.
fn always() -> Vec<Choice> {
    let submit = (prop::collection::vec(wish(), 1..4), key());
    let seconds =
        prop_oneof![1 => Just(1_u64), 1 => Just(59), 3 => Just(60), 1 => Just(2_459), 1 => Just(2_460)];
    vec![
        (6, submit.prop_map(|(wishes, key)| Move::Submit { wishes, key }).boxed()),
        (
            4,
            (any::<bool>(), any::<bool>()).prop_map(|(gpu, listens)| Move::Register { gpu, listens }).boxed(),
        ),
        (3, seconds.prop_map(|seconds| Move::Pass { seconds }).boxed()),
        (4, (1..4_u32).prop_map(|limit| Move::Reap { limit }).boxed()),
        (1, Just(Move::Restart).boxed()),
    ]
}

/// What workers do, and what is done to them.
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

/// Agents that come at the same time, each once.
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

/// What attempts say, whether they still hold their task or not.
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
            (attempt.clone(), way(), wish())
                .prop_map(|(attempt, way, wish)| Move::FollowUp { attempt, way, wish })
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

/// What users do with their tasks.
fn of_tasks(tasks: usize) -> Vec<Choice> {
    let some = prop::collection::vec(one_of(tasks), 1..3);
    vec![
        (
            2,
            (some, any::<bool>())
                .prop_map(|(tasks, pending_too)| Move::Cancel { tasks, pending_too })
                .boxed(),
        ),
        (2, one_of(tasks).prop_map(|task| Move::AskToStop { task }).boxed()),
        (2, (one_of(tasks), -2..=2).prop_map(|(task, priority)| Move::Prioritise { task, priority }).boxed()),
    ]
}

/// What can happen next.
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

/// Whether everything that the move names has been made; when a history is shortened, it may not be.
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
        Move::AskToStop { task } | Move::Prioritise { task, .. } => *task < world.tasks.len(),
        Move::Submit { .. }
        | Move::Register { .. }
        | Move::Pass { .. }
        | Move::Reap { .. }
        | Move::Restart => true,
    }
}
