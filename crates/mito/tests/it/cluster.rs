//! Tests of a cluster as in the documentation: a TOML file, PostgreSQL, and an S3 service.

use std::path::Path;
use std::process::Command;

use mitosis_protocol::TaskState;
use mitosis_protocol::task::SubmitTasksRequest;
use mitosis_testkit::postgres::PostgresServer;
use mitosis_testkit::s3::S3Server;

use crate::home::{Coordinator, Home, ended, wait_for_count};

/// The services, and a home with a configuration for them.
pub(crate) struct Cluster {
    postgres: PostgresServer,
    s3: S3Server,
    pub(crate) home: Home,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let postgres = PostgresServer::start_on_loopback().await.unwrap();
        Self { postgres, s3: S3Server::start().await.unwrap(), home: Home::new() }
    }

    /// The example of the documentation with other ports and passwords.
    pub(crate) async fn config(&self) -> String {
        let db_url = self.postgres.fresh_database().await.unwrap();
        format!(
            r#"[coordinator]
bind = "127.0.0.1:0"
db_url = "{db_url}"
s3_url = "{}"
s3_access_key = "mitosis_access"
s3_secret_key = "mitosis_secret"
# redis_url is not set. It should be in format like "redis://:mitosis@localhost"
# redis_worker_password is not set by default and will be generated randomly
# redis_client_password is not set by default and will be generated randomly
admin_user = "mitosis_admin"
admin_password = "mitosis_admin"
access_token_expires_in = "7d"
heartbeat_timeout = "600s"
file_log = false
# log_path is not set. It will use the default rolling log file path if file_log is set to true
"#,
            self.s3.url()
        )
    }

    pub(crate) async fn coordinator(&self) -> Coordinator {
        self.coordinator_saying("").await
    }

    /// Adds a line to the configuration.
    pub(crate) async fn coordinator_saying(&self, line: &str) -> Coordinator {
        let config = format!("{}{line}\n", self.config().await);
        let config = self.home.write("coordinator.toml", &config);
        let args = ["coordinator", "--config", config.to_str().unwrap()];
        let (service, address) = self.home.start(&args, "listening address=").await;
        Coordinator { service, address: format!("http://{address}") }
    }
}

/// Runs a client command, which must succeed. Returns its output.
async fn client(home: &Home, coordinator: &Coordinator, args: &[&str]) -> String {
    let options = ["client", "-c", &coordinator.address, "-u", "mitosis_admin", "--retain"];
    let mut command = home.mito(&[&options[..], args].concat());
    command.env("MITO_PASSWORD", "mitosis_admin");
    let output = ended(command).await;
    assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
    output.stdout.trim().to_owned()
}

/// Submits a task. Returns its UUID, the last word of the output.
async fn submitted(home: &Home, coordinator: &Coordinator, args: &[&str]) -> String {
    client(home, coordinator, args).await.rsplit(' ').next().unwrap().to_owned()
}

/// The names and contents of an archive, as `tar` reads it.
fn unpack(archive: &Path) -> Vec<(String, String)> {
    let tar = |args: &[&str]| {
        let output = Command::new("tar").args(args).arg(archive).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let names = tar(&["-tzf"]);
    let files = names.lines().filter(|name| !name.ends_with('/'));
    files
        .map(|name| {
            let output = Command::new("tar").args(["-xzOf"]).arg(archive).arg(name).output().unwrap();
            (name.trim_start_matches("./").to_owned(), String::from_utf8(output.stdout).unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn task_has_three_artifacts_in_a_cluster() {
    let cluster = Cluster::start().await;
    let (home, coordinator) = (&cluster.home, cluster.coordinator().await);
    let _worker = home.worker(&coordinator.address, "2").await;

    let script = "echo said; echo cried >&2; echo made > $MITO_RESULT_DIR/made.txt; \
                  echo noted > $MITO_EXEC_DIR/noted.txt; exit 3";
    let submit = ["tasks", "submit", "--terminal", "--labels", "first", "--", "sh", "-c", script];
    let uuid = submitted(home, &coordinator, &submit).await;
    let admin = coordinator.admin().await;
    crate::home::wait_for_count(&admin, mitosis_protocol::TaskState::Finished, 1).await;

    let shown = client(home, &coordinator, &["tasks", "get", &uuid]).await;
    assert!(shown.contains("Finished") && shown.contains("exit"), "{shown}");
    for (kind, file, text) in [
        ("result", "result/made.txt", "made\n"),
        ("exec-log", "exec-log/noted.txt", "noted\n"),
        ("std-log", "std-log/stdout.log", "said\n"),
    ] {
        client(home, &coordinator, &["tasks", "artifacts", "download", &uuid, kind]).await;
        let files = unpack(&home.path().join(format!("{kind}.tar.gz")));
        assert!(files.contains(&(file.to_owned(), text.to_owned())), "{kind}: {files:?}");
    }

    let waiting = ["tasks", "submit", "--tags", "no-worker-has-it", "--", "true"];
    let waiting = submitted(home, &coordinator, &waiting).await;
    let found = client(home, &coordinator, &["tasks", "query", "-s", "ready"]).await;
    assert!(found.contains(&waiting) && !found.contains(&uuid), "{found}");
    client(home, &coordinator, &["tasks", "cancel", &waiting]).await;
    let shown = client(home, &coordinator, &["tasks", "get", &waiting]).await;
    assert!(shown.contains("Cancelled"), "{shown}");
    let by_label = client(home, &coordinator, &["tasks", "query", "--labels", "first"]).await;
    assert!(by_label.contains(&uuid) && !by_label.contains(&waiting), "{by_label}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secrets_stop_the_start() {
    let cluster = Cluster::start().await;
    let config = cluster.config().await;
    for (right, wrong, words) in [
        (PostgresServer::PASSWORD, "hunter2", ["db_url", "password"]),
        ("mitosis_secret\"", "hunter2\"", ["s3_secret_key", "object store"]),
        ("/story_0", "/nowhere", ["nowhere", "db_url"]),
    ] {
        let path = cluster.home.write("wrong.toml", &config.replace(right, wrong));
        let output = cluster.home.run(&["coordinator", "--config", path.to_str().unwrap()]).await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        for word in words {
            assert!(output.stderr.contains(word), "`{word}` is not in: {}", output.stderr);
        }
        assert!(output.stderr.contains("hint:") && !output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_share_one_database() {
    let cluster = Cluster::start().await;
    let home = &cluster.home;
    let config = home.write("coordinator.toml", &cluster.config().await);
    let args = ["coordinator", "--config", config.to_str().unwrap()];
    let (first, second) =
        tokio::join!(home.start(&args, "listening address="), home.start(&args, "listening address="));
    let [first, second] = [first, second]
        .map(|(service, address)| Coordinator { service, address: format!("http://{address}") });
    let both = format!("{},{}", first.address, second.address);
    let _worker = home.worker(&both, "1").await;
    let uuid = submitted(home, &first, &["tasks", "submit", "--", "true"]).await;
    let admin = second.admin().await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    // The first coordinator stays down; the worker continues with the other one.
    first.service.kill().await;
    let shown = client(home, &second, &["tasks", "get", &uuid]).await;
    assert!(shown.contains("Finished"), "{shown}");
    submitted(home, &second, &["tasks", "submit", "--", "true"]).await;
    wait_for_count(&admin, TaskState::Finished, 2).await;
}

const MANY: usize = 1_500;

/// Submits tasks that each write a line when they run.
fn many_tasks(home: &Home) -> SubmitTasksRequest {
    let script = format!("echo $MITO_TASK_UUID >> {}", home.path().join("ran").display());
    SubmitTasksRequest { tasks: vec![crate::home::task(&["sh", "-c", &script]); MANY], idempotency_key: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_once_despite_killed_coordinators_and_database() {
    let mut cluster = Cluster::start().await;
    let config = cluster.home.write("coordinator.toml", &cluster.config().await);
    let config = config.to_str().unwrap().to_owned();
    let start = async |home: &Home, port: u16| {
        let bind = format!("127.0.0.1:{port}");
        let args = ["coordinator", "--config", &config, "--bind", &bind];
        let (service, address) = home.start(&args, "listening address=").await;
        Coordinator { service, address: format!("http://{address}") }
    };
    let mut coordinators = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let coordinator = start(&cluster.home, 0).await;
        workers.push(cluster.home.worker(&coordinator.address, "2").await);
        coordinators.push(coordinator);
    }
    let admin = coordinators[0].admin().await;
    admin.submit_many(&many_tasks(&cluster.home)).await.unwrap();

    // Requests go to a running coordinator.
    for (place, step) in [(1, 200), (2, 500), (0, 800)] {
        let asked = coordinators[(place + 1) % 3].admin().await;
        wait_for_count(&asked, TaskState::Finished, step).await;
        let killed = coordinators.remove(place);
        let port = killed.port();
        killed.service.kill().await;
        coordinators.insert(place, start(&cluster.home, port).await);
    }
    wait_for_count(&admin, TaskState::Finished, 1_100).await;
    cluster.postgres.kill().unwrap();
    cluster.postgres.restart().await.unwrap();
    wait_for_count(&admin, TaskState::Finished, MANY).await;

    let ran = std::fs::read_to_string(cluster.home.path().join("ran")).unwrap();
    let mut different: Vec<&str> = ran.lines().collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!((ran.lines().count(), different.len()), (MANY, MANY), "each ran, and none twice");
    for task in crate::home::all_tasks(&admin).await {
        assert_eq!(task.result.map(|result| (result.exit_status.0, result.msg)), Some((0, None)));
    }
    for worker in &mut workers {
        assert!(worker.is_running(), "a worker outlives them all");
    }
}
