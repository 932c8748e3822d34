//! Tests that features that a 0.6 coordinator ignores are never sent to it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::home::{Home, ended};

const UUID: &str = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";

/// A fake 0.6 coordinator, and the requests that it received: method, path and body.
#[derive(Clone, Default)]
struct Old {
    /// Whether it is a native one of an earlier version.
    is_native: bool,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Old {
    async fn start(is_native: bool) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let old = Self { is_native, ..Self::default() };
        let serving = old.clone();
        mitosis_testkit::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                mitosis_testkit::spawn(serving.clone().serve(stream));
            }
        });
        (old, address)
    }

    async fn serve(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        stream.read_line(&mut line).await?;
        let route = line.rsplit_once(' ').unwrap_or_default().0.to_owned();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        self.asked.lock().unwrap().push((route.clone(), serde_json::from_slice(&body).unwrap_or_default()));
        let answer = match (self.is_native, route.as_str()) {
            (true, "GET /health") => Some(json!({"status": "ok", "version": "0.7.0"}).to_string()),
            _ => answer(&route),
        };
        let (status, answer) = match answer {
            Some(answer) => ("200 OK", answer),
            None => ("404 Not Found", String::new()),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(format!("{head}{answer}").as_bytes()).await
    }

    /// The requests since the last call, without authentication and health checks.
    fn taken(&self) -> Vec<(String, Value)> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.retain(|(route, _)| !["GET /auth", "POST /login", "GET /health"].contains(&route.as_str()));
        asked
    }
}

fn answer(route: &str) -> Option<String> {
    let answer = match route {
        "GET /health" => json!({"status": "ok"}),
        "POST /login" => json!({"token": "t"}),
        "GET /auth" => return Some("ann".to_owned()),
        "GET /users/groups" => json!({"groups": {"ann": "Admin"}}),
        "POST /tasks" => json!({"task_id": 1, "uuid": UUID}),
        "POST /tasks/query" => json!({"count": 0, "tasks": [], "group_name": "ann"}),
        "POST /tasks/cancel" => json!({"cancelled_count": 7, "group_name": "ann"}),
        "POST /tasks/delete/artifacts" => json!({"deleted_count": 7}),
        "POST /tasks/download/artifacts" => json!({"downloads": []}),
        _ => return None,
    };
    Some(answer.to_string())
}

struct Harness {
    home: Home,
    old: Old,
    address: String,
}

impl Harness {
    async fn set_up() -> Self {
        Self::with(false).await
    }

    async fn with(is_native: bool) -> Self {
        let (old, address) = Old::start(is_native).await;
        Self { home: Home::new(), old, address }
    }

    async fn run(&self, words: &str) -> (Option<i32>, String) {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = self.home.mito(&words);
        command
            .env("MITO_COORDINATOR_ADDR", &self.address)
            .env("MITO_USER", "ann")
            .env("MITO_PASSWORD", "pw");
        let output = ended(command).await;
        (output.code, format!("{}{}", output.stdout, output.stderr))
    }
}

/// It would start the task elsewhere, and without its input.
#[tokio::test]
async fn surroundings_are_not_sent_to_a_coordinator_that_ignores_them() {
    let harness = Harness::with(true).await;
    harness.home.write("input", "text");
    for (line, feature) in [
        ("run --chdir /data -- true", "a task with a directory"),
        ("run --stdin input -- cat", "a task with standard input"),
        ("submit --fresh-dir -- true", "a task with a directory"),
        ("logs 12/7 --attempt 1", ""),
    ] {
        let (code, words) = harness.run(line).await;
        assert_ne!(code, Some(0), "{line}: {words}");
        assert!(words.contains(feature), "{line}: {words}");
        let sent = harness.old.taken();
        assert!(sent.iter().all(|(route, _)| !route.starts_with("POST /tasks")), "{line}: {sent:?}");
    }
    let (_, words) = harness.run("submit --chdir /data -- true").await;
    assert!(words.contains("does not know a task with a directory") && words.contains("upgrade"), "{words}");
}

#[tokio::test]
async fn filter_becomes_fields_for_an_old_coordinator() {
    let harness = Harness::set_up().await;
    for (words, route, field, value) in [
        ("client tasks cancel-many label=zz", "POST /tasks/cancel", "labels", json!(["zz"])),
        ("client tasks cancel-many state=ready", "POST /tasks/cancel", "states", json!(["Ready"])),
        ("client tasks query tag=gpu", "POST /tasks/query", "tags", json!(["gpu"])),
        ("client tasks query exit=3", "POST /tasks/query", "exit_status", json!("=768")),
        (
            "client tasks artifacts delete-many result label=zz",
            "POST /tasks/delete/artifacts",
            "labels",
            json!(["zz"]),
        ),
        (
            "client tasks artifacts download-many result label=zz",
            "POST /tasks/download/artifacts",
            "labels",
            json!(["zz"]),
        ),
    ] {
        let (code, text) = harness.run(words).await;
        assert_eq!(code, Some(0), "{words}: {text}");
        let asked = harness.old.taken();
        let (_, body) = asked.iter().find(|(asked, _)| asked == route).expect(words);
        assert_eq!(body[field], value, "{words}: {body}");
        assert!(body.get("filter").is_none(), "{words}: {body}");
    }
}

#[tokio::test]
async fn unsupported_request_is_not_sent_to_an_old_coordinator() {
    let harness = Harness::set_up().await;
    std::fs::write(harness.home.path().join("job.toml"), "[[tasks]]\ncommand = 'true'\n").unwrap();
    let task = json!({"group_name": "ann", "tags": [], "labels": [], "timeout": "1m", "priority": 0,
        "task_spec": {"args": ["true"], "idempotent": true}});
    std::fs::write(harness.home.path().join("tasks.json"), json!([task]).to_string()).unwrap();
    let uuid = UUID;
    for words in [
        "client tasks cancel-many created>-2h",
        "client tasks cancel-many exit!=3",
        "client tasks cancel-many state=running",
        "client tasks cancel-many -s running",
        "client tasks query finished>-2h",
        "client tasks artifacts delete-many result created>-2h",
        "client tasks artifacts download-many result created>-2h",
        "run -- true",
        "run -F x=1..3 -- true",
        "submit -- true",
        "submit -F x=1..3 -- echo {x}",
        "submit job.toml",
        "submit --after 12 --name train -- true",
        "ls",
        "ls 12",
        "show 12/7",
        "wait 12",
        "cancel 12",
        "rm 12",
        "pause 12",
        "resume train",
        "priority 12 5",
        "logs 12/7",
        "retry 12",
        "results 12",
        "retry --failed label=zz",
        "results label=zz",
        "client tasks submit --wait -- true",
        "client tasks submit --follow -- true",
        "client tasks submit --lost-after 2m -- true",
        "client tasks submit --idempotent -- true",
        "client tasks submit-many -f tasks.json",
        "submit --idempotent -- true",
        &format!("client tasks change {uuid} --lost-after 2m -- true"),
        "client tasks get last",
        "client tasks cancel last",
        "client groups delete lab",
        "client tokens create x",
        "client tokens list",
        "client admin audit",
        &format!("client tasks wait {uuid}"),
        &format!("client tasks watch {uuid}"),
        &format!("client tasks stop {uuid}"),
        &format!("client tasks explain {uuid}"),
    ] {
        let (code, text) = harness.run(words).await;
        assert_eq!(code, Some(1), "{words}: {text}");
        assert!(text.contains("is mito 0.6"), "{words}: {text}");
        let asked = harness.old.taken();
        let harmless = |(route, _): &(String, Value)| route.starts_with("GET /tasks/");
        assert!(asked.iter().all(harmless), "{words}: {asked:?}");
    }
}

#[tokio::test]
async fn worker_with_lost_after_refuses_an_old_coordinator() {
    let harness = Harness::set_up().await;
    let (code, text) = harness.run("worker --lost-after 2m").await;
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("is mito 0.6") && text.contains("lost_after"), "{text}");
    assert!(harness.old.taken().is_empty());
}

#[tokio::test]
async fn supported_requests_are_sent_to_an_old_coordinator() {
    let harness = Harness::set_up().await;
    for (words, route) in [
        ("client tasks submit -- true", "POST /tasks"),
        ("client tasks cancel-many -l zz", "POST /tasks/cancel"),
        ("client tasks query -s running", "POST /tasks/query"),
    ] {
        let (code, text) = harness.run(words).await;
        assert_eq!(code, Some(0), "{words}: {text}");
        assert!(harness.old.taken().iter().any(|(asked, _)| asked == route), "{words}");
    }
}
