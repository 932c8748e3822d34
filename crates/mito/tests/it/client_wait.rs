//! Tests of `mito client tasks wait`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mitosis_client::{Client, EarlierTokens};
use mitosis_protocol::TaskState;
use mitosis_protocol::task::{SubmitTaskRequest, SubmitTasksRequest};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::home::{
    ADMIN, Coordinator, Home, LIMIT, Person, all_tasks, ended, task, until_there, wait_for_count,
};

#[tokio::test]
async fn wait_for_one_task_has_its_exit_code() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let waited = admin.run(&["tasks", "submit", "--wait", "--", "sh", "-c", script]).await;
        assert_eq!(waited.code, Some(code), "{script}: {}", waited.stderr);
        let uuid = waited.stdout.trim().rsplit(' ').next().unwrap();
        let again = admin.run(&["tasks", "wait", &uuid[..13]]).await;
        assert_eq!((again.code, again.stdout), (Some(code), waited.stdout.clone()), "{}", again.stderr);
    }
    let timeout = ["tasks", "submit", "--wait", "--timeout", "1s", "--", "sleep", "61"];
    let stopped = admin.expect_failure(&timeout, 124, &[]).await;
    assert!(stopped.stderr.contains("stopped at its timeout"), "{}", stopped.stderr);
    let missing = admin.run(&["tasks", "submit", "--wait", "-o", "json", "--", "no-such-program"]).await;
    let json: serde_json::Value = serde_json::from_str(&missing.stdout).unwrap();
    assert_eq!((missing.code, &json[0]["exit_code"]), (Some(127), &127.into()), "{}", missing.stderr);
}

#[tokio::test]
async fn wait_shows_output() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let script = "echo out; echo err >&2; exit 3";
    let followed = admin.run(&["-q", "tasks", "submit", "--follow", "--", "sh", "-c", script]).await;
    assert_eq!((followed.code, followed.stdout.as_str()), (Some(3), "out\n"), "{}", followed.stderr);
    assert_eq!(followed.stderr, "err\n");
}

#[tokio::test]
async fn timed_out_wait_names_the_rest() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let submit = ["tasks", "submit", "--wait", "--wait-timeout", "1s", "--", "true"];
    let words = ["No worker", "has not ended after 1s", "[timeout]"];
    admin.expect_failure(&submit, 124, &words).await;
    let follow = ["tasks", "submit", "--follow", "--wait-timeout", "1s", "--", "true"];
    admin.expect_failure(&follow, 124, &words).await;
    admin.expect_failure(&["tasks", "wait", "last", "--timeout", "1s"], 124, &words).await;
    let several = ["tasks", "wait", "state=ready", "--timeout", "1s"];
    admin.expect_failure(&several, 124, &["2 of 2 tasks have not ended", "No worker"]).await;
    admin.expect_failure(&["tasks", "wait", "state=running"], 66, &["nothing to wait for", "hint:"]).await;
    admin.expect_failure(&["tasks", "wait", "colour=red"], 2, &["`colour=red`", "the keys are"]).await;
    admin.expect_failure(&["tasks", "wait", "x"], 2, &["invalid task selector `x`", "GROUP-NUMBER"]).await;
}

#[tokio::test]
async fn wait_takes_many_tasks() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for script in ["exit 0", "exit 0", "exit 5"] {
        admin.submits(&["-l", "few", "--", "sh", "-c", script]).await;
    }
    admin.submits(&["-l", "never", "-t", "no-worker-has-it", "--", "true"]).await;
    let mut waiting = admin.command(&["tasks", "wait", "label=few", "-o", "csv"]);
    let waiting = mitosis_testkit::spawn(async move { waiting.output().await.unwrap() });
    let _worker = home.worker(&coordinator.address, "2").await;
    let output = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(123), "{stderr}");
    assert!(stderr.contains("1 of 3 tasks failed [some_failed]"), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 4, "a header, and one each");

    admin.run_ok(&["tasks", "wait", "label=few", "exit=0"]).await;
    let fast = ["tasks", "wait", "--fail-fast", "label=few", "label=few", "exit!=0", &format!("{ADMIN}-4")];
    admin.expect_failure(&fast, 123, &["1 of 2 tasks failed", "1 has not ended"]).await;
    let watched = admin.run_ok(&["tasks", "watch", "label=few"]).await;
    assert_eq!(watched.lines().filter(|line| line.contains("Finished, exit code")).count(), 3, "{watched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_survives_a_coordinator_restart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let (address, port) = (coordinator.address.clone(), coordinator.port());
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&address, "2").await;
    let go = home.path().join("go");
    let script = format!("echo first; {}; echo second; exit 9", until_there(&go));
    let followed =
        admin.command(&["-q", "tasks", "submit", "--follow", "-l", "x", "--", "sh", "-c", &script]);
    let followed = mitosis_testkit::spawn(ended(followed));
    admin.run_until("Running", &["tasks", "query", "-l", "x", "-v"]).await;
    let waiting = async |args: &[&str]| {
        let args = [&["client", "-c", &address, "-u", ADMIN, "tasks", "wait"], args].concat();
        home.start(&args, "waiting for a task").await.0
    };
    let (one, many) = (waiting(&["last"]).await, waiting(&["label=x", "state!=cancelled"]).await);
    coordinator.service.kill().await;
    let again = home.coordinator(port, "600s").await;
    std::fs::write(go, "").unwrap();
    let followed = followed.await.unwrap();
    assert_eq!(
        (followed.code, followed.stdout.as_str()),
        (Some(9), "first\nsecond\n"),
        "{}",
        followed.stderr
    );
    for waited in [one, many] {
        assert_eq!(waited.wait().await.code(), Some(9));
    }
    drop(again);
}

#[tokio::test]
async fn selectors_and_filters_name_tasks() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let first = admin.submits(&["-l", "two words", "-p", "7", "--", "true"]).await;
    let second = admin.submits(&["--", "true"]).await;
    for (name, uuid) in [(&first[..8], &first), ("last", &second), (format!("{ADMIN}-1").as_str(), &first)] {
        assert!(admin.run_ok(&["tasks", "get", name]).await.contains(uuid.as_str()), "{name}");
    }
    let query = ["tasks", "query", "label=two words", "priority>=5", "created>-1h", "-o", "id"];
    assert_eq!(admin.run_ok(&query).await, first);
    let taken = admin.run(&["tasks", "query", "-l", "two words", "state=ready", "--count"]).await;
    assert_eq!((taken.code, taken.stdout.as_str()), (Some(0), "Found 0 tasks\n"));
    assert!(taken.stderr.contains("`state=ready` follows an option"), "{}", taken.stderr);
    admin.run_ok(&["tasks", "update-labels", "last", "new"]).await;
    admin.run_ok(&["tasks", "cancel", &format!("{ADMIN}/2")]).await;
    assert_eq!(admin.run_ok(&["tasks", "query", "state=cancelled", "-o", "id"]).await, second);
    let many = admin.run_ok(&["tasks", "cancel-many", "priority<5"]).await;
    assert_eq!(many, format!("cancelled 0 tasks of group {ADMIN}"));
    admin.expect_failure(&["tasks", "get", "mitosis_admin-9"], 66, &["[not_found]"]).await;
    admin.expect_failure(&["tasks", "query", "state=juggling"], 2, &["state=juggling", "pending"]).await;
}

/// Starts a proxy to the coordinator that breaks a number of connections, each at a request for `marker`. Returns its
/// address and the number of breaks that are left.
async fn breaking_way(port: u16, asked: &'static str, times: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let left = Arc::new(AtomicUsize::new(times));
    let still = Arc::clone(&left);
    mitosis_testkit::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            mitosis_testkit::spawn(pass_on(client, port, asked, Arc::clone(&still)));
        }
    });
    (address, left)
}

/// Copies both directions until one side ends or the connection is broken.
async fn pass_on(client: TcpStream, port: u16, asked: &'static str, left: Arc<AtomicUsize>) {
    let coordinator = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_coordinator, mut to_coordinator) = coordinator.into_split();
    let back =
        mitosis_testkit::spawn(async move { tokio::io::copy(&mut from_coordinator, &mut to_client).await });
    let mut request = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut request).await {
        let is_asked = String::from_utf8_lossy(&request[..length]).contains(asked);
        if is_asked
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            break;
        }
        if to_coordinator.write_all(&request[..length]).await.is_err() {
            break;
        }
    }
    back.abort();
}

#[tokio::test]
async fn wait_survives_broken_connections() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for _ in 0..2 {
        admin.submits(&["-l", "two", "--", "true"]).await;
    }
    admin.run_ok(&["tasks", "cancel-many", "label=two"]).await;
    for (asked, selector, code) in [("POST /tasks/query", "label=two", 123), ("/v1/tasks/find", "last", 125)]
    {
        let (address, left) = breaking_way(coordinator.port(), asked, 3).await;
        let wait = ["client", "-c", &address, "-u", ADMIN, "--retain", "tasks", "wait", selector];
        let mut wait = home.mito(&wait);
        wait.env("MITO_PASSWORD", ADMIN);
        let waited = ended(wait).await;
        assert_eq!(waited.code, Some(code), "{selector}: {}", waited.stderr);
        assert_eq!(left.load(Ordering::SeqCst), 0, "it was not asked for: {}", waited.stderr);
    }
}

#[tokio::test]
async fn wait_reports_each_of_ten_thousand_tasks_once() {
    const MANY: usize = 10_000;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let tasks = vec![labeled("many", "true"); MANY];
    let request = SubmitTasksRequest { tasks, idempotency_key: None };
    coordinator.admin().await.submit_many(&request).await.unwrap();
    let mut waiting = admin.command(&["tasks", "wait", "label=many", "-o", "id"]);
    let mut waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("waiting for 10000 tasks"));
    // The rest of the message is as long as the list of tasks.
    let rest = mitosis_testkit::spawn(async move {
        let mut last = String::new();
        while let Some(line) = said.next_line().await.unwrap() {
            last = line;
        }
        last
    });
    assert!(admin.run_ok(&["tasks", "cancel-many", "label=many"]).await.starts_with("cancelled 10000 tasks"));
    let output = tokio::time::timeout(LIMIT, waiting.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(123));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let reported: BTreeSet<&str> = stdout.lines().collect();
    assert_eq!((reported.len(), stdout.lines().count()), (MANY, MANY));
    let last = rest.await.unwrap();
    assert!(last.contains("hint: "), "{last}");
}

/// A task with a label.
fn labeled(label: &str, script: &str) -> SubmitTaskRequest {
    SubmitTaskRequest { labels: vec![label.to_owned()], ..task(&["sh", "-c", script]) }
}

/// The number of runs of an operation of the store, from the metrics.
async fn operations(coordinator: &Coordinator, name: &str) -> u64 {
    let client = Client::new(&coordinator.address).unwrap();
    let token = client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await.unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, coordinator.port()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /metrics HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        token.expose_secret()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).await.unwrap();
    assert!(metrics.contains("mitosis_store_operation_seconds_count"), "{metrics}");
    let marker = format!("operation=\"{name}\"");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("mitosis_store_operation_seconds_count") && line.contains(&marker));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn wait_for_many_tasks_reads_their_ends_in_batches() {
    const MANY: usize = 500;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let user = coordinator.admin().await;
    let mut tasks = vec![labeled("many", "true"); MANY];
    tasks[7] = labeled("many", "false");
    user.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await.unwrap();
    let wait =
        ["client", "-c", &coordinator.address, "-u", ADMIN, "tasks", "wait", "label=many", "-o", "csv"];
    let mut waiting = home.mito(&wait);
    waiting.env("MITO_PASSWORD", ADMIN);
    let waiting = mitosis_testkit::spawn(ended(waiting));
    let _worker = home.worker(&coordinator.address, "2").await;
    let waited = waiting.await.unwrap();
    assert_eq!(waited.code, Some(123), "{}", waited.stderr);
    assert!(waited.stderr.contains("1 of 500 tasks failed [some_failed]"), "{}", waited.stderr);
    let reported: BTreeSet<&str> = waited.stdout.lines().skip(1).collect();
    assert_eq!((reported.len(), waited.stdout.lines().count()), (MANY, MANY + 1), "a header, and one each");
    assert_eq!(reported.iter().filter(|row| row.contains(",Finished,1,")).count(), 1, "{reported:?}");
    assert_eq!(operations(&coordinator, "last_changes").await, 0, "no stream of events");
    let reads = operations(&coordinator, "started_states").await;
    assert!((1..MANY as u64).contains(&reads), "{reads}");

    let fast = admin.run(&["tasks", "wait", "label=many", "--fail-fast"]).await;
    assert_eq!(fast.code, Some(123), "{}", fast.stderr);
    let watched = admin.run_ok(&["tasks", "watch", "label=many"]).await;
    assert_eq!(watched.lines().filter(|line| line.contains("Finished, exit code")).count(), MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_many_tasks_survives_a_coordinator_restart() {
    const MANY: usize = 20;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let (address, port) = (coordinator.address.clone(), coordinator.port());
    let go = home.path().join("go");
    let script = format!("{}; exit 1", until_there(&go));
    let user = coordinator.admin().await;
    let tasks = vec![labeled("many", &script); MANY];
    user.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await.unwrap();
    let _worker = home.worker(&address, "4").await;
    wait_for_count(&user, TaskState::Running, 4).await;
    let args = |verb| ["client", "-c", &address, "-u", ADMIN, "tasks", verb, "label=many"];
    let (waiting, _) = home.start(&args("wait"), "waiting for 20 tasks").await;
    let mut watching = home.mito(&args("watch"));
    watching.env("MITO_PASSWORD", ADMIN).stdout(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    for _ in 0..MANY {
        assert!(lines.next_line().await.unwrap().is_some(), "the present states");
    }
    coordinator.service.kill().await;
    let again = home.coordinator(port, "600s").await;
    std::fs::write(go, "").unwrap();
    assert_eq!(waiting.wait().await.code(), Some(123));
    let mut ends = 0;
    while let Some(line) = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
        ends += usize::from(line.contains("Finished, exit code 1"));
    }
    assert_eq!(ends, MANY, "each end once");
    assert_eq!(watching.wait().await.unwrap().code(), Some(0));
    drop(again);
}

#[tokio::test]
async fn ambiguous_selector_lists_its_matches() {
    // Enough tasks that some have the same first four digits, the least that a selector needs.
    const MANY: usize = 3_000;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let user = coordinator.admin().await;
    let request = SubmitTasksRequest { tasks: vec![task(&["true"]); MANY], idempotency_key: None };
    user.submit_many(&request).await.unwrap();
    let mut uuids: Vec<String> = all_tasks(&user).await.iter().map(|task| task.uuid.to_string()).collect();
    uuids.sort_unstable();
    let alike = uuids.windows(2).find(|pair| pair[0][..4] == pair[1][..4]).expect("chance is on our side");
    let words = [&alike[0], &alike[1], "matches several tasks", "hint:"];
    for command in ["get", "cancel", "wait", "explain"] {
        let refused = admin.expect_failure(&["tasks", command, &alike[0][..4]], 1, &words).await;
        assert_eq!(refused.stdout, "", "{command}");
    }
    assert!(admin.run_ok(&["tasks", "query", "state=cancelled", "--count"]).await.contains("Found 0"));
    assert!(admin.run_ok(&["tasks", "get", &alike[0][..35]]).await.contains(alike[0].as_str()));
}
