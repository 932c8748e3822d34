//! Tests of `mito doctor`, each with one problem.

use std::os::unix::fs::PermissionsExt as _;

use mitosis_testkit::postgres::PostgresServer;
use mitosis_testkit::redis::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::home::{ADMIN, Coordinator, Home, Output, Person};

/// Runs `mito doctor` with a password in the environment.
async fn run_doctor(home: &Home, address: &str, args: &[&str]) -> Output {
    let mut command = home.mito(&[&["doctor", "-c", address], args].concat());
    command.env("MITO_USER", ADMIN).env("MITO_PASSWORD", ADMIN);
    crate::home::ended(command).await
}

/// The line of a check, and the hint below it.
#[track_caller]
fn line<'a>(output: &'a Output, verdict: &str, check: &str) -> &'a str {
    let start = format!("{verdict:<5} {check} ");
    let from = output.stdout.find(&start).unwrap_or_else(|| panic!("no `{start}` in {output:?}"));
    let text = &output.stdout[from..];
    let end = text.match_indices('\n').map(|(at, _)| at).find(|at| !text[at + 1..].starts_with("  "));
    &text[..end.unwrap_or(text.len())]
}

/// Starts a server that answers every request with this reply.
async fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    mitosis_testkit::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    address
}

/// A port on which nothing listens.
async fn deserted() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn with_redis(home: &Home, redis: &str) -> Coordinator {
    let db = format!("sqlite://{}/state.db", home.path().display());
    let s3 = format!("file://{}/objects", home.path().display());
    let args = ["coordinator", "--bind", "127.0.0.1:0", "--db", &db, "--s3", &s3, "--redis", redis];
    let (service, address) = home.start(&args, "listening address=").await;
    Coordinator { service, address: format!("http://{address}") }
}

#[tokio::test]
async fn healthy_system_passes_all_checks() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let output = run_doctor(&home, &coordinator.address, &["--min-free", "0"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    for check in ["address", "clock", "version", "coordinator", "credentials", "login", "schema", "objects"] {
        line(&output, "ok", check);
    }
    for check in ["cors", "redis", "disk"] {
        line(&output, "ok", check);
    }
    assert!(!home.path().join(".config").exists(), "it leaves nothing behind");
    let csv = run_doctor(&home, &coordinator.address, &["--min-free", "0", "-o", "csv"]).await.stdout;
    assert!(csv.starts_with("check,verdict,text,hint\n"), "{csv}");
    let text = run_doctor(&home, &coordinator.address, &["--min-free", "0", "-o", "json"]).await.stdout;
    assert!(text.starts_with('[') && text.contains(r#""check": "address""#), "{text}");
    assert!(text.contains(r#""verdict": "ok""#), "{text}");
}

#[tokio::test]
async fn wrong_host_port_and_server_are_distinguished() {
    let home = Home::new();
    let hello = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await;
    for (address, code, words) in [
        ("http://no-such-host.invalid:5000", 69, "cannot resolve"),
        (deserted().await.as_str(), 69, "nothing listens"),
        (hello.as_str(), 69, "is not a coordinator"),
        ("coordinator:5000", 78, "invalid coordinator address"),
    ] {
        let output = run_doctor(&home, address, &["--min-free", "0"]).await;
        assert_eq!(output.code, Some(code), "{output:?}");
        let text = line(&output, "fail", "address");
        assert!(text.contains(words) && text.contains("hint: "), "{text}");
        line(&output, "skip", "login");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_of_mito_06_is_recognised() {
    let home = Home::new();
    let server = PostgresServer::start().await.unwrap();
    let url = server.url("postgres");
    let diagnose = async || {
        let address = deserted().await;
        let mut command = home.mito(&["doctor", "-c", &address, "--min-free", "0"]);
        command.env("MITO_DB_URL", &url);
        crate::home::ended(command).await
    };
    line(&diagnose().await, "ok", "database");
    server.execute("CREATE TABLE active_tasks (id bigint PRIMARY KEY)").await.unwrap();
    let output = diagnose().await;
    let text = line(&output, "fail", "database");
    assert!(text.contains("mito 0.6, which can't be imported yet"), "{text}");
    assert!(text.contains("hint: set db_url to an empty database"), "{text}");
}

#[tokio::test]
async fn wrong_clock_is_reported() {
    let home = Home::new();
    let answer = "HTTP/1.1 200 OK\r\nDate: Sun, 09 Feb 2031 17:04:05 GMT\r\nContent-Type: application/json\r\n\
        Content-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";
    let output = run_doctor(&home, &server(answer).await, &["--min-free", "0"]).await;
    assert!(line(&output, "fail", "clock").contains("time server"));
    assert!(line(&output, "warn", "version").contains("older than 0.7"));
    assert_ne!(output.code, Some(0));
}

#[tokio::test]
async fn invalid_token_is_reported_with_the_reason() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let plain = async || {
        let args = ["doctor", "-c", &coordinator.address, "--min-free", "0"];
        let output = home.run(&args).await;
        assert_eq!(output.code, Some(67), "{output:?}");
        output
    };
    assert!(line(&plain().await, "fail", "login").contains("not logged in"));

    std::fs::create_dir_all(home.path().join(".config/mitosis")).unwrap();
    let kept = home.write(".config/mitosis/credentials", "mitosis_admin:nonsense");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(line(&plain().await, "fail", "login").contains("is not a token"));

    std::fs::remove_file(&kept).unwrap();
    let admin = Person::administrator(&home, &coordinator);
    admin.run_ok(&["login"]).await;
    let fine = home.run(&["doctor", "-c", &coordinator.address, "--min-free", "0"]).await;
    assert!(line(&fine, "ok", "login").contains("the token expires in 6d 23h"), "{fine:?}");
    admin.run_ok(&["users", "change-password", ADMIN, "better"]).await;
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap().replace(ADMIN, "other")).unwrap();
    let output = home.run(&["doctor", "-c", &coordinator.address, "--min-free", "0"]).await;
    assert!(line(&output, "fail", "login").contains("belongs to `mitosis_admin`"), "{output:?}");
}

#[tokio::test]
async fn replaced_token_and_readable_file_are_reported() {
    let (home, other) = (Home::new(), Home::new());
    let coordinator = home.coordinator(0, "600s").await;
    Person::administrator(&home, &coordinator).run_ok(&["login"]).await;
    let mut elsewhere = other.mito(&["client", "-c", &coordinator.address, "--no-retain", "login"]);
    elsewhere.env("MITO_USER", ADMIN).env("MITO_PASSWORD", ADMIN);
    assert_eq!(crate::home::ended(elsewhere).await.code, Some(0));
    let kept = home.path().join(".config/mitosis/credentials");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();

    let output = home.run(&["doctor", "-c", &coordinator.address, "--min-free", "0"]).await;
    assert!(line(&output, "fail", "credentials").contains("chmod 600"));
    assert!(line(&output, "fail", "login").contains("has not expired"));
    assert_eq!(output.code, Some(1), "of the first that failed");
}

#[tokio::test]
async fn unreachable_links_are_reported() {
    let cluster = Cluster::start().await;
    for (public, code, words) in [
        (deserted().await, 69, "cannot connect to the object store"),
        (
            server("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await,
            1,
            "clocks",
        ),
        (
            server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await,
            1,
            "buckets",
        ),
        (
            server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await,
            1,
            "differs from the uploaded one",
        ),
    ] {
        let coordinator = cluster.coordinator_saying(&format!("s3_public_url = \"{public}\"")).await;
        let output = run_doctor(&cluster.home, &coordinator.address, &["--min-free", "0"]).await;
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(line(&output, "fail", "objects").contains(words), "{output:?}");
    }
    let coordinator = cluster.coordinator().await;
    let output = run_doctor(&cluster.home, &coordinator.address, &["--min-free", "0"]).await;
    line(&output, "ok", "objects");
    assert!(line(&output, "warn", "cors").contains("CORS rules"), "{output:?}");
}

#[tokio::test]
async fn full_disk_is_reported() {
    let home = Home::new();
    let output = run_doctor(&home, &deserted().await, &["--min-free", "999999999999"]).await;
    assert!(line(&output, "fail", "disk").contains("left for scratch data"), "{output:?}");
}

#[tokio::test]
async fn redis_problem_is_a_warning() {
    let (home, mut redis) = (Home::new(), RedisServer::start().await.unwrap());
    let coordinator = with_redis(&home, &redis.url()).await;
    let output = run_doctor(&home, &coordinator.address, &["--min-free", "0"]).await;
    assert!(line(&output, "ok", "redis").contains("are available"), "{output:?}");

    let person = Person::administrator(&home, &coordinator).welcomes("ann").await;
    redis.kill().unwrap();
    let mut command = home.mito(&["doctor", "-c", &coordinator.address, "--min-free", "0"]);
    command.env("MITO_USER", "ann").env("MITO_PASSWORD", "ann");
    let output = crate::home::ended(command).await;
    assert!(line(&output, "warn", "redis").contains("are not available"), "{output:?}");
    line(&output, "skip", "default-password");
    assert_eq!(output.code, Some(0), "{output:?}");
    person.run_ok(&["auth"]).await;
}

#[tokio::test]
async fn wrong_redis_passwords_are_shown_to_administrators() {
    let (home, redis) = (Home::new(), RedisServer::start().await.unwrap());
    let coordinator = with_redis(&home, &redis.url().replace(RedisServer::PASSWORD, "wrong")).await;
    let output = run_doctor(&home, &coordinator.address, &["--min-free", "0"]).await;
    let text = line(&output, "warn", "redis");
    assert!(text.contains("redis_url") && !text.contains("wrong"), "{text}");
}

#[tokio::test]
async fn default_password_is_reported_until_changed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let output = run_doctor(&home, &coordinator.address, &["--min-free", "0"]).await;
    assert!(line(&output, "warn", "default-password").contains("documented default"));
    Person::administrator(&home, &coordinator).run_ok(&["users", "change-password", ADMIN, "better"]).await;
    let output = run_doctor(&home, &coordinator.address, &["--min-free", "0"]).await;
    line(&output, "ok", "default-password");
}
