//! What a command may use, what it used, and how it is stopped.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::endings::{appears, is_alive};
use crate::script::Script;

/// The last ended task in the reports.
fn last_ended(script: &Script) -> Value {
    let reports = script.bodies("POST /v1/agents/report ");
    reports.iter().rev().find_map(|report| report["ended"].as_array()?.last().cloned()).unwrap()
}

#[tokio::test]
async fn command_beyond_its_memory_is_stopped_and_its_neighbour_runs_on() {
    let script = Script::new().await;
    script.offers_memory(1 << 30);
    let (go, started) = (script.scratch().join("go"), script.scratch().join("started"));
    let neighbour =
        format!("touch {}; until test -e {}; do sleep 0.02; done", started.display(), go.display());
    script.has(&neighbour, |_| {});
    let _worker = script.worker(2);
    appears(&started).await;
    // The memory of a child counts, too.
    let hog = "(head -c 100000000 /dev/zero | tail -c 100000000 | sleep 60) & wait";
    script.has(hog, |task| {
        task.spec.request.memory = 60 << 20;
        task.spec.terminal_output = true;
    });
    let start = Instant::now();
    assert_eq!(script.commits(1).await, json!({"exit_status": 9, "msg": null, "reason": "oom"}));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let ended = last_ended(&script);
    assert_eq!(ended["cancelled"], true);
    assert!(ended["usage"]["peak_memory"].as_u64().unwrap() > 60 << 20, "{ended}");
    std::fs::write(go, "").unwrap();
    assert_eq!(script.commits(2).await, json!({"exit_status": 0, "msg": null}));
}

#[tokio::test]
async fn used_time_memory_and_output_are_reported() {
    let script = Script::new().await;
    let busy = "printf abc; printf de >&2; i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; exit 3";
    script.has(busy, |task| task.spec.terminal_output = true);
    let _worker = script.worker(1);
    script.commits(1).await;
    let usage = last_ended(&script)["usage"].clone();
    let number = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(number("output_bytes"), 5);
    assert!(number("cpu_micros") > 1_000 && number("wall_micros") >= number("cpu_micros") / 2, "{usage}");

    script.has("true", |task| task.spec.stdin = Some("missing".to_owned()));
    script.hears("POST /v1/agents/report ", 2).await;
}

#[tokio::test]
async fn task_chooses_its_stop_signal_and_grace() {
    let script = Script::new().await;
    let started = script.scratch().join("started");
    let traps =
        format!("trap 'exit 5' INT; trap '' TERM; touch {}; while :; do sleep 0.02; done", started.display());
    script.has(&traps, |task| {
        task.spec.stop_signal = Some("INT".parse().unwrap());
        task.timeout = Duration::from_secs(1);
    });
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 1280, "msg": "ExecTimeout"}));
    std::fs::remove_file(&started).unwrap();
    script.has(&traps, |task| {
        task.spec.stop_grace = Some(Duration::from_millis(100));
        task.timeout = Duration::from_secs(1);
    });
    let start = Instant::now();
    assert_eq!(script.commits(2).await, json!({"exit_status": 9, "msg": "ExecTimeout"}));
    assert!(start.elapsed() < Duration::from_secs(8), "the usual grace is longer: {:?}", start.elapsed());
}

/// Processes that leave the group, their parents, and the environment of the command.
#[tokio::test]
async fn escaped_processes_end_with_the_command() {
    let script = Script::new().await;
    let ids = script.scratch().join("ids");
    let own = |text: &str| format!("sh -c '{text} echo $$ >> {}; exec sleep 600'", ids.display());
    let escapes = format!(
        "setsid {} & (setsid {} &) ; (env -i PATH=$PATH setsid {} &) ; until [ $(wc -l < {}) = 3 ]; do sleep 0.02; done",
        own(""),
        own(""),
        own(""),
        ids.display()
    );
    std::fs::write(&ids, "").unwrap();
    script.has(&escapes, |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["exit_status"], 0);
    let ids = std::fs::read_to_string(ids).unwrap();
    assert_eq!(ids.lines().count(), 3);
    assert!(ids.lines().all(|pid| !is_alive(pid)), "{ids}");
}

/// An escaped process that ignores SIGTERM, and one that starts others all the time.
#[tokio::test]
async fn escaped_processes_are_killed_when_a_user_stops_the_task() {
    let script = Script::new().await;
    let (ids, started) = (script.scratch().join("ids"), script.scratch().join("started"));
    let deaf = format!(
        "trap \"\" TERM; while :; do sh -c \"echo \\$\\$ >> {}; exec sleep 600\" & sleep 0.1; done",
        ids.display()
    );
    script.has(&format!("setsid sh -c '{deaf}' & touch {}; exec sleep 600", started.display()), |_| {});
    let _worker = script.worker(1);
    appears(&ids).await;
    script.says("stop", json!([{"id": 1, "epoch": 1}]));
    assert_eq!(script.commits(1).await["msg"], "UserCancellation");
    let ids = std::fs::read_to_string(ids).unwrap();
    assert!(ids.lines().count() > 0 && ids.lines().all(|pid| !is_alive(pid)), "{ids}");
}
