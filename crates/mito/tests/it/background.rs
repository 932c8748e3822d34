//! Tests of background tasks of a coordinator that panic.

use std::path::Path;
use std::time::Duration;

use mitosis_client::{Client, EarlierTokens};
use nix::sys::signal::Signal;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::home::{ADMIN, Coordinator, Home, LIMIT, POLL_INTERVAL};

async fn coordinator(home: &Home, crash: &str) -> Coordinator {
    home.coordinator_in(&["--bind", "127.0.0.1:0"], &[("MITOSIS_CRASH_POINT", Path::new(crash))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_of_the_dispatcher_ends_the_coordinator_with_70() {
    let home = Home::new();
    let Coordinator { service, address } = coordinator(&home, "panic:claim.commit:after").await;
    // Its poll is answered by the task that panics.
    let _worker = home.worker(&address, "1").await;
    assert_eq!(service.wait().await.code(), Some(70));
}

#[tokio::test(flavor = "multi_thread")]
async fn panicking_pass_restarts_and_is_reported() {
    let home = Home::new();
    let Coordinator { service, address } = coordinator(&home, "panic:pass.run:before@*").await;
    let client = Client::new(&address).unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        let health = client.health().await.unwrap();
        assert_eq!(health.status, "ok", "requests are served without it");
        let background = health.parts["background"].clone();
        if background.contains("lost-workers") && background.starts_with("failing: ") {
            break;
        }
        assert!(Instant::now() < deadline, "{background}");
        sleep(POLL_INTERVAL).await;
    }
    let token = client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await.unwrap();
    let user = client.with_user_token(token);
    let task = async |name: &str| {
        let reply = user.admin_doctor().await.unwrap();
        reply.background.into_iter().find(|task| task.name == name).unwrap()
    };
    while task("retention").await.restarts < 2 {
        assert!(Instant::now() < deadline, "it restarts");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(task("retention").await.failing && !task("exchange-batcher").await.failing);
    service.signal(Signal::SIGTERM);
    assert_eq!(service.wait().await.code(), Some(0));
}
