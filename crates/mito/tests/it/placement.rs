//! Tasks and the resources of their workers: what the tasks themselves record never exceeds what a worker offers.

use std::collections::{BTreeMap, BTreeSet};

use crate::home::Service;
use crate::jobs::User;

/// Writes what a task holds, when it starts and before it ends. A line is written at once.
const RECORD: &str = r#"#!/bin/sh
held="$WORKER $MITO_TASK_UUID $MITO_CPUS ${MITO_MEMORY_BYTES:-0} ${CUDA_VISIBLE_DEVICES:--} ${MITO_RESOURCE_LIC:-0} ${MITO_RESOURCE_DISK:--}"
echo "+ $held" >> "$EVENTS"
sleep "0.0$1"
echo "- $held" >> "$EVENTS"
"#;

/// What one task holds.
#[derive(Debug, Clone)]
struct Held {
    cpus: f64,
    memory: u64,
    gpus: Vec<String>,
    licences: u64,
    disks: Vec<String>,
}

/// The most that the tasks of a worker may hold together.
#[derive(Debug, Clone, Copy)]
struct Most {
    cpus: f64,
    memory: u64,
    gpus: usize,
    licences: u64,
}

struct Recorded {
    user: User,
    events: String,
    workers: Vec<Service>,
}

impl Recorded {
    async fn new() -> Self {
        let user = User::without_workers().await;
        user.home.write("record.sh", RECORD);
        let events = user.home.path().join("events").display().to_string();
        Self { user, events, workers: Vec::new() }
    }

    async fn start_worker(&mut self, options: &str) {
        let args: Vec<&str> = ["worker"].into_iter().chain(options.split(' ')).collect();
        let mut command = self.user.command(&args);
        command.env("WORKER", self.workers.len().to_string()).env("EVENTS", &self.events);
        self.workers.push(Service::start(command, "registered").await.0);
    }

    async fn submit(&self, options: &str, tasks: usize, time: usize) {
        let home = self.user.home.path().display();
        let line = format!("submit {options} -F n=1..{tasks} -- sh {home}/record.sh {time}");
        self.user.ok(&line.replace("  ", " ")).await;
    }

    /// Waits for all jobs, and checks what their tasks recorded. Returns how many ran on each worker.
    async fn check(&self, jobs: usize, most: &[Most]) -> Vec<usize> {
        for job in 1..=jobs {
            self.user.ok(&format!("wait {job}")).await;
        }
        let mut held: Vec<BTreeMap<String, Held>> = vec![BTreeMap::new(); most.len()];
        let mut ran = vec![0; most.len()];
        for line in std::fs::read_to_string(&self.events).unwrap().lines() {
            let parts: Vec<&str> = line.split(' ').collect();
            let [sign, worker, task, cpus, memory, gpus, licences, disks] = parts[..] else {
                panic!("{line}")
            };
            let worker: usize = worker.parse().unwrap();
            if sign == "-" {
                assert!(held[worker].remove(task).is_some(), "{line}");
                continue;
            }
            let list = |text: &str| match text {
                "-" => Vec::new(),
                list => list.split(',').map(str::to_owned).collect(),
            };
            let of_task = Held {
                cpus: cpus.parse().unwrap(),
                memory: memory.parse().unwrap(),
                gpus: list(gpus),
                licences: licences.parse().unwrap(),
                disks: list(disks),
            };
            ran[worker] += 1;
            assert!(held[worker].insert(task.to_owned(), of_task).is_none(), "{line}");
            check_worker(&held[worker], most[worker]);
        }
        assert!(held.iter().all(BTreeMap::is_empty), "every task ended");
        ran
    }
}

fn check_worker(held: &BTreeMap<String, Held>, most: Most) {
    assert!(held.values().map(|held| held.cpus).sum::<f64>() <= most.cpus + 1e-9, "{held:?}");
    assert!(held.values().map(|held| held.memory).sum::<u64>() <= most.memory, "{held:?}");
    assert!(held.values().map(|held| held.licences).sum::<u64>() <= most.licences, "{held:?}");
    for (units, most) in
        [(|held: &Held| held.gpus.clone()) as fn(&Held) -> Vec<String>, |held| held.disks.clone()]
            .into_iter()
            .zip([most.gpus, usize::MAX])
    {
        let all: Vec<String> = held.values().flat_map(units).collect();
        let different: BTreeSet<&String> = all.iter().collect();
        assert!(all.len() == different.len() && all.len() <= most, "handed out twice: {held:?}");
    }
}

/// Four GPUs, and tasks that request one or two of them.
#[tokio::test(flavor = "multi_thread")]
async fn gpu_is_not_handed_out_twice_at_once() {
    let mut these = Recorded::new().await;
    these.start_worker("--cpus 8 --gpus [0,1,4,GPU-7] --resource disk=[sda,sdb,sdc]").await;
    these.submit("--cpus 0.5 --gpus 1", 80, 1).await;
    these.submit("--cpus 0.5 --gpus 2", 60, 2).await;
    these.submit("--cpus 0.5 --gpus 1 --resource disk=1", 40, 1).await;
    these.submit("--cpus 0.25", 20, 1).await;
    let most = Most { cpus: 8.0, memory: 0, gpus: 4, licences: 0 };
    assert_eq!(these.check(4, &[most]).await, [200]);
    let events = std::fs::read_to_string(&these.events).unwrap();
    for gpu in ["0", "1", "4", "GPU-7"] {
        assert!(events.contains(&format!(" {gpu} ")), "{gpu} is used");
    }
    let both = events.lines().filter(|line| line.split(' ').nth(5).unwrap().contains(',')).count();
    assert_eq!(both, 2 * 60);
}

/// Tasks of many sizes on workers of several sizes, with a large one that smaller ones would starve.
#[tokio::test(flavor = "multi_thread")]
async fn no_worker_is_used_beyond_what_it_offers() {
    let mut these = Recorded::new().await;
    let workers = [
        ("--cpus 8 --memory 8GiB --gpus 2 --resource lic=2", 8.0, 8, 2, 2),
        ("--cpus 4 --memory 4GiB --gpus 0 --resource lic=1", 4.0, 4, 0, 1),
        ("--cpus 4 --memory 2GiB --gpus 1", 4.0, 2, 1, 0),
        ("--cpus 2 --memory 8GiB --gpus 0", 2.0, 8, 0, 0),
        ("--cpus 2.5 --memory 1GiB --gpus 0 --resource lic=4", 2.5, 1, 0, 4),
        ("--cpus 1 --memory 1GiB --gpus 0", 1.0, 1, 0, 0),
    ];
    let mut most = Vec::new();
    for (options, cpus, gib, gpus, licences) in workers {
        these.start_worker(options).await;
        most.push(Most { cpus, memory: gib << 30, gpus, licences });
    }
    let jobs = [
        ("--cpus 0.5", 60, 2),
        ("", 60, 3),
        ("--cpus 2 --memory 512MiB", 40, 2),
        ("--cpus 8", 6, 3),
        ("--cpus 2.5 --memory 1GiB", 20, 2),
        ("--cpus 1 --gpus 1", 30, 1),
        ("--cpus 4 --gpus 2 --memory 4GiB", 10, 2),
        ("--cpus 0 --resource lic=1", 30, 1),
        ("--cpus 0.1 --memory 3GiB", 20, 2),
        ("--cpus 3 --resource lic=2", 8, 2),
    ];
    for (options, tasks, time) in jobs {
        these.submit(options, tasks, time).await;
    }
    let ran = these.check(jobs.len(), &most).await;
    assert_eq!(ran.iter().sum::<usize>(), jobs.iter().map(|(_, tasks, _)| tasks).sum::<usize>());
    assert!(ran.iter().all(|ran| *ran > 0), "every worker has its part: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn task_that_fits_nowhere_is_reported_with_numbers() {
    let mut these = Recorded::new().await;
    these.start_worker("--cpus 4 --memory 4GiB --gpus 0").await;
    let submitted = these.user.run("submit --cpus 8 --gpus 1 -- true").await;
    assert_eq!(submitted.code, Some(0));
    let warning = "none offers what it requests: 8 cpus, 1 gpu. The closest is ";
    assert!(submitted.stderr.contains(warning), "{}", submitted.stderr);
    assert!(submitted.stderr.contains("which has 4 of 8 cpus and 0 of 1 gpus."), "{}", submitted.stderr);
    let shown = these.user.ok("show 1/1").await;
    assert!(shown.contains("8 cpus, 1 gpu"), "{shown}");
    let fitting = these.user.run("submit --cpus 4 -- true").await;
    assert!(!fitting.stderr.contains("warning"), "{}", fitting.stderr);
    these.user.ok("wait 2").await;
    let workers = these.user.json("client workers query").await;
    assert_eq!(workers[0]["offer"]["cpus"], 4, "{workers}");
}
