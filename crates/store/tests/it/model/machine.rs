//! Applies one history to the store and to the model.

use std::marker::PhantomData;

use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::Runtime;

use super::driver::Driver;
use super::moves::Move;
use super::world::World;
use crate::backend::Backend;

/// Compares a backend with the model.
pub(super) struct Machine<B>(PhantomData<B>);

/// The store under test, and its runtime.
pub(super) struct Setup<B> {
    driver: Driver<B>,
    runtime: Runtime,
}

impl<B: Backend> StateMachineTest for Machine<B> {
    type SystemUnderTest = Setup<B>;
    type Reference = World;

    fn init_test(_: &World) -> Setup<B> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let driver = runtime.block_on(Driver::set_up());
        Setup { driver, runtime }
    }

    fn apply(mut cast: Setup<B>, world: &World, next: Move) -> Setup<B> {
        cast.make(&next, world);
        cast
    }

    fn check_invariants(cast: &Setup<B>, world: &World) {
        cast.runtime.block_on(cast.driver.agrees_with(world));
    }

    /// Checks that the remaining tasks are claimed in order, also after a restart.
    fn teardown(mut cast: Setup<B>, mut world: World) {
        let everything = Move::Claim { worker: world.workers.len(), count: 1_000 };
        for next in [Move::Register { gpu: true, listens: true }, everything, Move::Restart] {
            world = World::apply(world, &next);
            cast.make(&next, &world);
        }
        let Setup { driver, runtime } = cast;
        runtime.block_on(async move {
            driver.agrees_with(&world).await;
            driver.harness.check_invariants().await;
        });
    }
}

impl<B: Backend> Setup<B> {
    fn make(&mut self, next: &Move, world: &World) {
        self.driver.harness.now = world.now;
        let answer = self.runtime.block_on(self.driver.make(next));
        assert_eq!(answer, world.answer, "the store's answer, and the model's, to {next:?}");
    }
}
