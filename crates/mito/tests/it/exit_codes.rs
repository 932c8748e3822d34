//! Tests of exit codes that other tests do not cover.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::home::{Home, LIMIT, ended};

/// Answers every request with this status, like an old server: without a code.
async fn always(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    mitosis_testkit::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            mitosis_testkit::spawn(async move {
                let body = r#"{"msg":"no"}"#;
                let answer = format!(
                    "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let mut request = [0; 16 * 1024];
                if client.read(&mut request).await.is_ok() {
                    // The client may be gone.
                    let _ = client.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn every_refusal_has_exit_code_error_code_and_hint() {
    let home = Home::new();
    for (status, code, word) in [
        (401, 67, "not_logged_in"),
        (403, 77, "forbidden"),
        (404, 66, "not_found"),
        (409, 1, "failure"),
        (429, 75, "too_many_requests"),
        (500, 70, "fault"),
        (502, 69, "unreachable"),
        (503, 69, "unreachable"),
        (504, 69, "unreachable"),
    ] {
        let address = always(status).await;
        let refused = home.run(&["client", "-c", &address, "login", "ann", "secret"]).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{status}: {}", refused.stderr);
        for part in [&format!("[{word}]"), "\n  hint: "] {
            assert!(refused.stderr.contains(part), "{status}: `{part}` is not in {}", refused.stderr);
        }
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
    for (address, code) in [("http://127.0.0.1:1", 69), ("no address", 78)] {
        let failed = home.run(&["client", "-c", address, "login", "ann", "secret"]).await;
        assert_eq!(failed.code, Some(code), "{address}: {}", failed.stderr);
    }
}

#[tokio::test]
async fn closed_pipe_is_not_an_error() {
    let home = Home::new();
    for args in [&["version"][..], &["submit", "--dry-run", "-F", "x=1..9", "--", "true"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.mito(args);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        // The command holds the other end of the pipe, too.
        drop(command);
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]), "{args:?}");
    }
}

#[tokio::test]
async fn password_is_in_no_arguments_and_no_message() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let wrong = "hunter2-is-wrong";
    let mut client = home.mito(&["client", "-c", &coordinator.address, "-u", "mitosis_admin", "auth"]);
    client.env("MITO_PASSWORD", wrong);
    let refused = ended(client).await;
    assert_eq!(refused.code, Some(67), "{}", refused.stderr);
    assert!(!refused.stderr.contains(wrong), "{}", refused.stderr);
    let spawned = ["manager", "spawn", "1", "-c", &coordinator.address, "-u", "mitosis_admin", "-p", wrong];
    let refused = home.run(&spawned).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(!refused.stderr.contains(wrong), "{}", refused.stderr);
}
