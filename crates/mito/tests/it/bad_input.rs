//! Tests that invalid input gives a message and a hint, and the service continues.

use std::time::Duration;

use mitosis_protocol::TaskState;
use mitosis_protocol::task::SubmitTasksRequest;

use crate::home::{Home, task, wait_for_count};

/// Runs a `mito coordinator` that can't start. Returns its exit code and its output.
async fn refusal(home: &Home, config: &str, args: &[&str]) -> (Option<i32>, String) {
    let path = home.write("coordinator.toml", config);
    let args = [&["coordinator", "--config", path.to_str().unwrap()], args].concat();
    let output = home.run(&args).await;
    (output.code, output.stderr)
}

fn embedded(home: &Home) -> String {
    let place = home.path().display();
    format!(
        "[coordinator]\nbind = '127.0.0.1:0'\ndb_url = 'sqlite://{place}/state.db'\ns3_url = 'file://{place}/objects'\n"
    )
}

#[tokio::test]
async fn invalid_configuration_is_refused_with_location_and_hint() {
    let home = Home::new();
    for (config, words) in [
        ("[coordinator]\ndb_ulr = 'x'", vec!["`db_ulr`", "coordinator.toml", "did you mean `db_url`?"]),
        ("[coordinator]\nbind = ", vec!["coordinator.toml", "line 2"]),
        ("[coordinator]\nbind = 'localhost'", vec!["`bind`", "127.0.0.1:5000"]),
        ("[coordinator]\ndb_url = 'mysql://x'", vec!["`db_url`", "postgres://"]),
        ("[coordinator]\nheartbeat_timeout = 90", vec!["`heartbeat_timeout`", "90s"]),
        ("[coordinator]\nmetrics_addr = 'localhost'", vec!["`metrics_addr`", "127.0.0.1:9100"]),
        ("[coordinator]\nretain_tasks = '10min'", vec!["`retain_tasks`", "at least 1h"]),
    ] {
        let (code, stderr) = refusal(&home, config, &[]).await;
        assert_eq!(code, Some(78), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
        }
    }
    let missing = home.run(&["coordinator", "--config", "nowhere.toml"]).await;
    assert_eq!(missing.code, Some(78));
    assert!(
        missing.stderr.contains("nowhere.toml") && missing.stderr.contains("hint:"),
        "{}",
        missing.stderr
    );
    assert_eq!(home.run(&["coordinator", "--no-such-option"]).await.code, Some(2));
}

#[tokio::test]
async fn unusable_backend_is_named_with_a_hint() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let unreachable = "postgres://mitosis:hunter2@127.0.0.1:1/mitosis";
    for (args, words) in [
        (vec!["--bind", port.as_str()], vec!["can't listen on", "--bind"]),
        (vec!["--bind", "203.0.113.1:5000"], vec!["can't listen on", "does not have this address"]),
        (vec!["--db", unreachable], vec!["database", "postgres://127.0.0.1:1/mitosis", "db_url"]),
        (vec!["--s3", "file:///proc/nowhere"], vec!["/proc/nowhere", "s3_url"]),
        (vec!["--access-token-private-path", "elsewhere.pem"], vec!["elsewhere.pem", "openssl"]),
        (vec!["--s3", "http://127.0.0.1:1"], vec!["object store", "127.0.0.1:1"]),
    ] {
        let (code, stderr) = refusal(&home, &embedded(&home), &args).await;
        assert_eq!(code, Some(1), "{args:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
        }
        assert!(stderr.contains("hint:") && !stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn openssl_keys_work_and_a_damaged_key_is_refused() {
    let home = Home::new();
    let openssl = |args: &str| {
        let args: Vec<_> = args.split(' ').collect();
        let status =
            std::process::Command::new("openssl").args(args).current_dir(home.path()).status().unwrap();
        assert!(status.success());
    };
    openssl("genpkey -algorithm ed25519 -out private.pem");
    openssl("pkey -in private.pem -pubout -out public.pem");
    let coordinator = home.coordinator(0, "600s").await;
    assert_eq!(coordinator.admin().await.auth().await.unwrap(), crate::home::ADMIN);
    drop(coordinator);

    home.write("private.pem", "unknown key");
    let (code, stderr) = refusal(&home, &embedded(&home), &[]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("private.pem") && stderr.contains("hint:"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tasks_are_refused() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let _worker = home.worker(&coordinator.address, "1").await;

    let long_argument = task(&["echo", &"x".repeat(200 * 1024)]);
    let endless = {
        let mut task = task(&["true"]);
        task.timeout = Duration::from_secs(1 << 63);
        task
    };
    let mut huge = task(&["true"]);
    huge.task_spec.envs = (0..50).map(|n| (format!("V{n}"), "x".repeat(100 * 1024))).collect();
    for (wrong, status, word) in
        [(&long_argument, 400, "attachment"), (&endless, 400, "timeout"), (&huge, 413, "")]
    {
        let error = admin.submit(wrong).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        let message = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    // An invalid task in a batch does not affect the others.
    let batch =
        SubmitTasksRequest { tasks: vec![task(&["true"]), long_argument, task(&[])], idempotency_key: None };
    admin.submit_many(&batch).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 2).await;
}

#[tokio::test]
async fn wrong_credentials_and_network_errors_have_own_codes() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let config = home.write("config.toml", "[client]\nuser = 'mitosis_admin'\npassword = 'wrong'\n");
    let refused = home.run(&["client", "-c", &coordinator.address, "auth"]).await;
    assert_eq!(refused.code, Some(67), "{}", refused.stderr);
    std::fs::remove_file(config).unwrap();
    let output = home.run(&["client", "-c", &coordinator.address, "auth"]).await;
    assert_eq!(output.code, Some(67));
    assert!(output.stderr.contains(&format!("mito login -c {}", coordinator.address)), "{}", output.stderr);
    home.write("config.toml", "[client]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
    let unknown = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
    let missing = home.run(&["client", "-c", &coordinator.address, "tasks", "get", unknown]).await;
    assert_eq!(missing.code, Some(66), "{}", missing.stderr);
    drop(coordinator);
    let gone = home.run(&["run", "-c", "http://127.0.0.1:1", "--", "true"]).await;
    assert_eq!(gone.code, Some(69), "{}", gone.stderr);
}
