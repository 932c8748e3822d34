//! Tests of personal tokens.

use crate::home::{Home, Person, ended};

#[tokio::test]
async fn personal_token_replaces_a_login_until_revoked() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let ann = Person::administrator(&home, &coordinator).welcomes("ann").await;
    let made = ann.run(&["tokens", "create", "ci", "--lifetime", "1d"]).await;
    let token = made.stdout.trim();
    assert!(token.starts_with("mito_pat_") && !token.contains(char::is_whitespace), "{made:?}");
    assert!(made.stderr.contains("`mito client tokens revoke 1` revokes it"), "{}", made.stderr);

    // As in CI, on a machine without a login.
    let runner = Home::new();
    let client = ["client", "-c", &coordinator.address];
    let with_token = |args: &[&str]| {
        let mut command = runner.mito(&[&client, args].concat());
        command.env("MITO_TOKEN", token);
        ended(command)
    };
    assert_eq!(with_token(&["auth"]).await.stdout, "ann\n");
    assert_eq!(with_token(&["tasks", "submit", "--", "true"]).await.code, Some(0));
    assert!(!runner.path().join(".config/mitosis/credentials").exists(), "nothing is kept");
    let file = runner.write("ci.token", &format!("{token}\n"));
    let mut from_file = runner.mito(&[&client[..], &["auth"]].concat());
    from_file.env("MITO_TOKEN_PATH", file);
    assert_eq!(ended(from_file).await.stdout, "ann\n");
    let config = runner.write("mine.toml", &format!("[client]\ntoken = '{token}'\n"));
    let configured = ["client", "--config", config.to_str().unwrap(), "-c", &coordinator.address, "auth"];
    assert_eq!(runner.run(&configured).await.stdout, "ann\n");

    let other = with_token(&["-u", "raj", "auth"]).await;
    assert!(other.code == Some(67) && other.stderr.contains("belongs to `ann`, not to `raj`"), "{other:?}");
    // A stolen token can't create another one.
    assert_eq!(with_token(&["tokens", "create", "more"]).await.code, Some(77));

    assert_eq!(ann.run_ok(&["tokens", "list", "-o", "id"]).await, "1");
    let listed = ann.run_ok(&["tokens", "list"]).await;
    assert!(listed.starts_with("1\tci\twrite\tends ") && !listed.contains(token), "{listed}");
    ann.run_ok(&["tokens", "revoke", "1"]).await;
    let ended = with_token(&["auth"]).await;
    assert!(ended.code == Some(67) && ended.stderr.contains("is not valid at"), "{ended:?}");
    assert!(!ended.stderr.contains(token), "{}", ended.stderr);
    ann.expect_failure(&["tokens", "revoke", "1"], 66, &["token `1`"]).await;
}

#[tokio::test]
async fn read_only_token_cannot_write_and_bad_token_is_refused() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let ann = Person::administrator(&home, &coordinator).welcomes("ann").await;
    let token = ann.run_ok(&["tokens", "create", "looks", "--scope", "read"]).await;
    let with = |token: &str, args: &[&str]| {
        let mut command = home.mito(&[&["client", "-c", &coordinator.address], args].concat());
        command.env("MITO_TOKEN", token);
        ended(command)
    };
    assert_eq!(with(&token, &["tasks", "query", "--count"]).await.stdout, "Found 0 tasks\n");
    assert_eq!(with(&token, &["tasks", "submit", "--", "true"]).await.code, Some(77));
    let nonsense = with("nonsense words", &["auth"]).await;
    assert!(nonsense.code == Some(78) && !nonsense.stderr.contains("nonsense words"), "{nonsense:?}");
}

#[tokio::test]
async fn worker_token_is_not_inherited_by_commands() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let token = admin.run_ok(&["tokens", "create", "worker"]).await;
    let machine = Home::new();
    let file = machine.write("worker.toml", &format!("[worker]\ntoken = '{token}'\n"));
    let worker = ["worker", "--config", file.to_str().unwrap(), "-c", &coordinator.address];
    let (_worker, _) = machine.start(&worker, "registered").await;
    let mut run = home.mito(&["run", "-c", &coordinator.address, "--", "sh", "-c", "echo \"[$MITO_TOKEN]\""]);
    run.env("MITO_TOKEN", &token);
    let seen = ended(run).await;
    assert_eq!((seen.code, seen.stdout.as_str()), (Some(0), "[]\n"), "{seen:?}");
}
