//! Tests of concurrent use of the file of tokens.

use std::os::unix::fs::PermissionsExt as _;

use crate::home::{Home, Person, ended};

const PEOPLE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_logins_keep_all_tokens() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("user{number}")).collect();
    for name in &names {
        admin.welcomes(name).await;
    }
    let mut logins = tokio::task::JoinSet::new();
    for name in &names {
        logins.spawn(ended(home.mito(&["client", "-c", &coordinator.address, "login", name, name])));
    }
    for login in logins.join_all().await {
        assert_eq!(login.code, Some(0), "{}", login.stderr);
    }
    let file = home.path().join(".config/mitosis/credentials");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(file).unwrap();
    for name in &names {
        assert_eq!(kept.lines().filter(|line| line.starts_with(&format!("{name}:"))).count(), 1, "{kept}");
        let who = home.run(&["client", "-c", &coordinator.address, "-u", name, "auth"]).await;
        assert_eq!(who.stdout.trim(), name, "{}", who.stderr);
    }
}
