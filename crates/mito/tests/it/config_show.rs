//! Tests of `mito config show`.

use crate::home::{Home, ended};

#[tokio::test]
async fn values_have_an_origin_and_secrets_are_hidden() {
    let home = Home::new();
    home.write(
        "config.toml",
        "# mine\n[coordinator]\nbind = '127.0.0.1:7000'\ndb_url = 'postgres://u:hunter2@h/d'\n\n[global]\ns3_region = 'here'\n",
    );
    let mut command = home.mito(&["config", "show", "--role", "coordinator", "--origin"]);
    command.env("MITO_ADMIN_PASSWORD", "hunter3").env("MITO_HEARTBEAT_TIMEOUT", "90s");
    let output = ended(command).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let line = |key: &str| {
        let line = output.stdout.lines().find(|line| line.split(' ').next() == Some(key)).expect(key);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let file = home.path().join("config.toml");
    let file = file.canonicalize().unwrap_or(file);
    assert!(line("bind").starts_with("bind 127.0.0.1:7000") && line("bind").ends_with("config.toml, line 3"));
    assert!(
        line("db_url").contains("postgres://u:***@h/d") && line("db_url").ends_with("line 4"),
        "{file:?}"
    );
    assert!(line("s3_region").ends_with("line 7"), "{}", line("s3_region"));
    assert_eq!(line("heartbeat_timeout"), "heartbeat_timeout 1m 30s the variable MITO_HEARTBEAT_TIMEOUT");
    assert_eq!(line("admin_password"), "admin_password *** the variable MITO_ADMIN_PASSWORD");
    assert_eq!(line("s3_access_key"), "s3_access_key mitosis_access default");
    assert_eq!(line("s3_secret_key"), "s3_secret_key *** default");
    assert_eq!(line("redis_url"), "redis_url not set");
    assert!(!output.stdout.contains("hunter"), "{}", output.stdout);

    let json = home.run(&["config", "show", "-o", "jsonl"]).await.stdout;
    let settings: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let retain = settings.iter().find(|setting| setting["key"] == "user").unwrap();
    assert_eq!((&retain["value"], &retain["origin"]), (&serde_json::Value::Null, &"not set".into()));

    let plain = home.run(&["config", "show"]).await.stdout;
    assert!(plain.contains("coordinator_addr") && !plain.contains("default"), "{plain}");
}
