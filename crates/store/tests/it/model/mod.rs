//! Random histories, told to a store and to a plain model of it.
//!
//! The model ([`world`]) keeps everything in lists and knows what each move ([`moves`]) must be answered
//! with; the [`actor`] makes the same move in the store. They must agree on every answer, and after
//! every move on every task and worker: so a task ends once, a stale attempt never wins, nothing that
//! was acknowledged disappears, and tasks are claimed in order.

mod actor;
mod attempts;
mod compare;
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

/// How many histories are tried on each backend, unless `MITO_MODEL_CASES` says otherwise.
const CASES: u32 = 128;
/// Tests that share the histories of a backend, and can run side by side.
const PARTS: u32 = 4;
/// Moves in the longest of them.
const LONGEST: usize = 80;

#[expect(clippy::disallowed_methods, reason = "a long run is asked for from outside")]
fn cases() -> u32 {
    match std::env::var("MITO_MODEL_CASES") {
        Ok(cases) => cases.parse().expect("MITO_MODEL_CASES is a number"),
        Err(_) => CASES,
    }
}

/// Tells random histories to fresh stores; shows the shortest on which store and model disagree.
pub(crate) fn agree<B: Backend>() {
    let config = Config { cases: cases().div_ceil(PARTS), failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _house = runtime.block_on(B::house());
    let mut runner = TestRunner::new(config.clone());
    let histories = World::sequential_strategy(1..LONGEST);
    let told = runner.run(&histories, |(start, moves, seen)| {
        Machine::<B>::test_sequential(config.clone(), start, moves, seen);
        Ok(())
    });
    if let Err(disagreement) = told {
        panic!("{disagreement}");
    }
}

/// Compares one backend with the model: `model!(name: Type)`.
macro_rules! model {
    ($backend:ident: $type:ty) => {
        mod $backend {
            #[test]
            fn first_quarter_of_the_histories_goes_as_the_model_says() {
                super::agree::<$type>();
            }

            #[test]
            fn second_quarter_of_the_histories_goes_as_the_model_says() {
                super::agree::<$type>();
            }

            #[test]
            fn third_quarter_of_the_histories_goes_as_the_model_says() {
                super::agree::<$type>();
            }

            #[test]
            fn last_quarter_of_the_histories_goes_as_the_model_says() {
                super::agree::<$type>();
            }
        }
    };
}

model!(postgres: crate::backend::postgres::Postgres);
model!(sqlite: crate::backend::sqlite::Sqlite);
