//! Injects faults, and repairs each after a while.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_testkit::proxy::Fault as Line;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep, sleep_until};

use super::nodes::{Children, Node};
use super::world::{GIVEN_AWAY, Services};

/// The target of a fault.
pub(super) enum Target<'a> {
    Services(&'a mut Services),
    Workers(&'a mut Vec<Node>),
}

/// How often each fault was injected.
pub(super) type Count = BTreeMap<&'static str, usize>;

/// Injects faults one after the other until the deadline, and repairs all of them.
pub(super) async fn inject(mut target: Target<'_>, mut choices: StdRng, ends: Instant) -> Count {
    let mut count = Count::new();
    while Instant::now() < ends {
        let fault = match &mut target {
            Target::Services(services) => of_services(services, &mut choices).await,
            Target::Workers(workers) => {
                let chosen = choices.random_range(0..workers.len());
                of_a_worker(&mut workers[chosen], &mut choices).await
            }
        };
        *count.entry(fault).or_default() += 1;
        sleep_until(ends.min(Instant::now() + short(&mut choices))).await;
    }
    count
}

/// A pause of up to two seconds.
fn short(choices: &mut StdRng) -> Duration {
    Duration::from_millis(choices.random_range(50..2_000))
}

/// A pause that is too short for the loss of a worker.
fn long(choices: &mut StdRng) -> Duration {
    Duration::from_millis(choices.random_range(500..6_000))
}

async fn of_services(services: &mut Services, choices: &mut StdRng) -> &'static str {
    let kinds = if services.cluster.is_some() { 11 } else { 4 };
    let chosen = choices.random_range(0..services.coordinators.len());
    let coordinator = &mut services.coordinators[chosen];
    match choices.random_range(0..kinds) {
        0 => {
            coordinator.kill().await;
            sleep(short(choices)).await;
            coordinator.restart().await;
            "coordinator killed"
        }
        1 => {
            coordinator.freeze(long(choices)).await;
            "coordinator stopped"
        }
        2 => {
            let steps = ["+45", "-45", "+3600", "-3600", "+0"];
            coordinator.step_clock(steps[choices.random_range(0..steps.len())]);
            "clock stepped"
        }
        3 => {
            services.proxy.kill();
            sleep(short(choices)).await;
            services.proxy.restart().await;
            "nginx killed"
        }
        kind => of_the_cluster(services, kind, choices).await,
    }
}

async fn of_the_cluster(services: &mut Services, kind: u32, choices: &mut StdRng) -> &'static str {
    let cluster = services.cluster.as_mut().expect("only then it is chosen");
    let (proxy, line, name) = match kind {
        4 => {
            cluster.postgres.kill().unwrap();
            sleep(short(choices)).await;
            cluster.postgres.restart().await.unwrap();
            return "database killed";
        }
        5 => {
            cluster.redis.kill().unwrap();
            sleep(short(choices)).await;
            cluster.redis.restart().await.unwrap();
            return "Redis killed";
        }
        6 => (&cluster.to_postgres, Line::Cut, "database cut"),
        7 => (&cluster.to_postgres, Line::Freeze, "database frozen"),
        8 => (&cluster.to_postgres, Line::Delay(Duration::from_millis(30)), "database slow"),
        9 => (&cluster.to_s3, Line::Cut, "objects cut"),
        _ => (&cluster.to_s3, Line::Freeze, "objects frozen"),
    };
    proxy.set(line);
    sleep(long(choices)).await;
    proxy.set(Line::None);
    name
}

async fn of_a_worker(worker: &mut Node, choices: &mut StdRng) -> &'static str {
    let children = Children::of(worker.pid().expect("it runs"));
    match choices.random_range(0..6) {
        0 => {
            worker.kill().await;
            sleep(short(choices)).await;
            worker.restart().await;
            "worker killed"
        }
        1 => {
            worker.freeze(long(choices)).await;
            "worker stopped"
        }
        2 => {
            // Until its tasks run on another worker.
            worker.freeze(GIVEN_AWAY * 3 / 2).await;
            "worker stopped for long"
        }
        3 => {
            children.kill_guards();
            "guard killed"
        }
        4 => {
            children.kill_guards();
            worker.kill().await;
            children.kill_commands();
            sleep(short(choices)).await;
            worker.restart().await;
            "machine crashed"
        }
        _ => {
            worker.stop().await;
            worker.restart().await;
            "worker asked to stop"
        }
    }
}
