//! Random histories, applied to a store and to a plain model of it.
//!
//! The model ([`world`]) keeps everything in lists and knows the outcome of each move ([`moves`]); the
//! [`driver`] makes the same move in the store. They must agree on every outcome, and after every move on every
//! task and worker. So a task ends once, a stale attempt never wins, nothing acknowledged is lost, and tasks
//! are claimed in order.

mod attempts;
mod compare;
mod driver;
mod exchange;
mod machine;
mod moves;
mod waiting;
mod workers;
mod world;

use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::backend::Backend;
use machine::Machine;
use world::World;

/// The number of histories on each backend, unless `MITO_MODEL_CASES` is set.
const CASES: u32 = 128;
/// The number of tests that share the histories of a backend, and can run in parallel.
const PARTS: u32 = 4;
/// The number of moves in the longest history.
const LONGEST: usize = 80;

#[expect(clippy::disallowed_methods, reason = "the environment configures long runs")]
fn cases() -> u32 {
    match std::env::var("MITO_MODEL_CASES") {
        Ok(cases) => cases.parse().expect("MITO_MODEL_CASES is a number"),
        Err(_) => CASES,
    }
}

/// Applies random histories to new stores; shows the shortest one on which store and model disagree.
pub(crate) fn agree<B: Backend>() {
    let config = Config { cases: cases().div_ceil(PARTS), failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _shared = runtime.block_on(B::start_shared());
    let mut runner = TestRunner::new(config.clone());
    let histories = World::sequential_strategy(1..LONGEST);
    let outcome = runner.run(&histories, |(start, moves, seen)| {
        Machine::<B>::test_sequential(config.clone(), start, moves, seen);
        Ok(())
    });
    if let Err(disagreement) = outcome {
        panic!("{disagreement}");
    }
}

/// Compares one backend with the model: `model!(name: Type)`.
macro_rules! model {
    ($backend:ident: $type:ty) => {
        mod $backend {
            #[test]
            fn first_quarter_of_histories_agrees_with_the_model() {
                super::agree::<$type>();
            }

            #[test]
            fn second_quarter_of_histories_agrees_with_the_model() {
                super::agree::<$type>();
            }

            #[test]
            fn third_quarter_of_histories_agrees_with_the_model() {
                super::agree::<$type>();
            }

            #[test]
            fn last_quarter_of_histories_agrees_with_the_model() {
                super::agree::<$type>();
            }
        }
    };
}

model!(postgres: crate::backend::postgres::Postgres);
model!(sqlite: crate::backend::sqlite::Sqlite);
