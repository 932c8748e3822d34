//! Tests of log files that workers share.

use crate::home::{Home, Person, Service};

/// Starts a worker with these options and variables.
async fn worker(
    home: &Home,
    address: &str,
    options: &[&str],
    variables: &[(&str, &str)],
) -> (Service, String) {
    let config = home.write("worker.toml", "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
    let words = ["worker", "--config", config.to_str().unwrap(), "-c", address];
    let mut command = home.mito(&[&words[..], options].concat());
    command.envs(variables.iter().copied());
    let (service, line) = Service::start(command, "registered worker=").await;
    (service, line.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_shared_log_name_their_worker() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let logs = home.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for day in 1..=5 {
        std::fs::write(logs.join(format!("w.log.2020-01-0{day}")), "old\n").unwrap();
    }
    let options = ["--shared-log", "--log-path", "logs/w.log"];
    // Standard error follows `RUST_LOG` with a name of 0.6, the file its own variable.
    let variables = [("RUST_LOG", "netmito=info"), ("MITO_FILE_LOG_LEVEL", "warn,netmito::worker=debug")];
    let (_first, one) = worker(&home, &coordinator.address, &options, &variables).await;
    let (_second, other) = worker(&home, &coordinator.address, &options, &variables).await;
    let files: Vec<_> = std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() <= 3, "{files:?}");
    let today = files.iter().max().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    for worker in [&one, &other] {
        home.until_written(&format!("logs/{today}"), &format!("[worker:{worker}] ")).await;
    }
    let text = std::fs::read_to_string(logs.join(&today)).unwrap();
    assert!(text.lines().all(|line| line.starts_with("[worker:")), "{text}");
    assert!(text.lines().all(|line| line.contains("mitosis_worker") || line.contains(" WARN ")), "{text}");
    Person::administrator(&home, &coordinator).run_ok(&["workers", "get", &one]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_and_its_end_are_logged_once() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let options = ["--file-log", "--log-path", "w.log"];
    let (worker, _) =
        worker(&home, &coordinator.address, &options, &[("MITO_FILE_LOG_LEVEL", "mito=debug")]).await;
    let port = coordinator.port();
    coordinator.service.kill().await;
    home.until_written("w.log", "asking for tasks: the coordinator does not answer").await;
    home.until_written("w.log", "asking for tasks: still no answer").await;
    let _again = home.coordinator(port, "600s").await;
    home.until_written("w.log", "the coordinator answers again").await;
    worker.kill().await;
    let text = std::fs::read_to_string(home.path().join("w.log")).unwrap();
    assert_eq!(text.matches("asking for tasks: the coordinator does not answer").count(), 1, "{text}");
}
