//! `tasks submit --watch`: a server is one task, and its client another that waits for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::home::{Home, Person};

/// Far more than it takes, and far less than the server runs.
const AT_ONCE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn client_task_runs_as_soon_as_its_server_task_is_spawned() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    let server = admin.submits(&["--", "sleep", "60"]).await;
    let begun = Instant::now();
    let client = admin.submits(&["--watch", &format!("{server},ExecSpawned"), "--", "true"]).await;
    admin.waits_for("Finished", &["tasks", "get", &client]).await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(admin.does(&["tasks", "get", &server]).await.contains("Running"));
}
