//! Tests of the short forms of `mito client`, and of logins and logouts.

use crate::home::{ADMIN, Coordinator, Home, Output, Person, ended};

/// Runs a command that finds the coordinator in the environment.
async fn run(home: &Home, coordinator: &Coordinator, args: &[&str]) -> Output {
    let mut command = home.mito(args);
    command.env("MITO_COORDINATOR_ADDR", &coordinator.address);
    ended(command).await
}

#[tokio::test]
async fn login_keeps_other_sessions_until_they_are_ended() {
    let (home, other) = (Home::new(), Home::new());
    let coordinator = home.coordinator(0, "600s").await;
    for home in [&home, &other] {
        let login = run(home, &coordinator, &["login", ADMIN, ADMIN]).await;
        assert_eq!(login.code, Some(0), "{}", login.stderr);
    }
    let whoami = run(&home, &coordinator, &["whoami"]).await;
    assert_eq!((whoami.code, whoami.stdout.as_str()), (Some(0), "mitosis_admin\n"), "{}", whoami.stderr);

    // A logout removes the token of one machine.
    assert_eq!(run(&other, &coordinator, &["logout"]).await.code, Some(0));
    assert_eq!(run(&other, &coordinator, &["logout"]).await.code, Some(67));
    assert_eq!(run(&other, &coordinator, &["whoami"]).await.code, Some(67));
    assert_eq!(run(&home, &coordinator, &["whoami"]).await.code, Some(0));

    // These end the sessions of all machines.
    run(&other, &coordinator, &["login", ADMIN, ADMIN]).await;
    let all = run(&other, &coordinator, &["logout", "--all"]).await;
    assert!(all.stderr.contains("ended all sessions of mitosis_admin"), "{}", all.stderr);
    assert_eq!(run(&home, &coordinator, &["whoami"]).await.code, Some(67));
    run(&home, &coordinator, &["login", ADMIN, ADMIN]).await;
    run(&other, &coordinator, &["login", ADMIN, ADMIN, "--no-retain"]).await;
    assert_eq!(run(&home, &coordinator, &["whoami"]).await.code, Some(67));
    assert_eq!(run(&other, &coordinator, &["whoami"]).await.code, Some(0));

    let mut with_token = home.mito(&["logout"]);
    with_token.env("MITO_COORDINATOR_ADDR", &coordinator.address).env("MITO_TOKEN", "mito_pat_x");
    let refused = ended(with_token).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[tokio::test]
async fn short_form_shows_what_its_command_shows() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    run(&home, &coordinator, &["login", ADMIN, ADMIN]).await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let admin = Person::administrator(&home, &coordinator);
    home.write("in.csv", "1,2\n");
    let upload = run(&home, &coordinator, &["files", "upload", "in.csv"]).await;
    assert_eq!(upload.code, Some(0), "{}", upload.stderr);
    for (short, long) in [
        (&["groups"][..], &["users", "groups"][..]),
        (&["groups", "get", ADMIN], &["groups", "get", ADMIN]),
        (&["files"], &["groups", "attachments", "query"]),
        (&["files", "get", "in.csv"], &["groups", "attachments", "get", "in.csv"]),
        (&["workers", "-o", "id"], &["workers", "query", "-o", "id"]),
        (&["workers", "query", "--count"], &["workers", "query", "--count"]),
    ] {
        let shown = run(&home, &coordinator, short).await;
        assert_eq!(shown.code, Some(0), "{short:?}: {}", shown.stderr);
        assert_eq!(shown.stdout.trim(), admin.run_ok(long).await, "{short:?}");
        assert!(!shown.stdout.trim().is_empty(), "{short:?}");
    }
}
