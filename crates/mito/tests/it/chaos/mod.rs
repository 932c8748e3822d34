//! Tests with random faults against a whole system under load, and an audit of its guarantees.
//!
//! The test command runs them for some seconds, `./scripts/soak` for an hour. `MITO_CHAOS_SECONDS` sets the length,
//! and `MITO_CHAOS_SEED` repeats the random choices of an earlier run, which prints its seed.

#![expect(clippy::print_stderr, reason = "a run names its seed and its faults")]

mod audit;
mod faults;
mod load;
mod nodes;
mod world;

use std::time::Duration;

use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use audit::audit;
use faults::{Target, inject};
use load::Load;
use world::{Store, World};

/// The default length.
const SHORT: Duration = Duration::from_secs(15);

/// The parameters of a run, from the environment.
struct Plan {
    length: Duration,
    seed: u64,
}

impl Plan {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
    fn from_environment() -> Self {
        let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        Self {
            length: number("MITO_CHAOS_SECONDS").map_or(SHORT, Duration::from_secs),
            seed: number("MITO_CHAOS_SEED").unwrap_or_else(|| OsEntropy.number().unsigned_abs()),
        }
    }
}

/// Faults of services and coordinators run beside faults of workers, so that they overlap.
async fn run(store: Store) {
    let plan = Plan::from_environment();
    eprintln!("chaos on {store:?}: MITO_CHAOS_SEED={} for {:?}", plan.seed, plan.length);
    let mut world = World::start(store).await;
    let mut load = Load::start(&world).await;
    let ends = tokio::time::Instant::now() + plan.length;
    let World { services, workers, .. } = &mut world;
    let choices = |stream| StdRng::seed_from_u64(plan.seed ^ stream);
    let services = inject(Target::Services(services), choices(1), ends);
    let workers = inject(Target::Workers(workers), choices(2), ends);
    let (services, workers, submitted) = tokio::join!(services, workers, load.submit_until(ends));
    eprintln!("injected {services:?} {workers:?} while {submitted} tasks were submitted");
    audit(&mut world, &load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_embedded_loses_nothing() {
    run(Store::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_cluster_loses_nothing() {
    run(Store::Cluster).await;
}
