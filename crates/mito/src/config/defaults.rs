//! What holds for a key that nobody set, and what of a value may be shown.

use url::Url;

use super::environment::Environment;
use super::keys::Role;

/// The default of a key as text; none for a key that is then not set. Commands apply the same: see the
/// story that compares them.
pub(crate) fn of(role: Role, key: &str, environment: &Environment) -> Option<String> {
    let text = match (role, key) {
        (Role::Coordinator, "bind") => "127.0.0.1:5000",
        (Role::Coordinator, "db_url") => "postgres://mitosis:mitosis@localhost/mitosis",
        (Role::Coordinator, "s3_url") => "http://localhost:9000",
        (Role::Coordinator, "s3_access_key") => "mitosis_access",
        (Role::Coordinator, "s3_secret_key") => "mitosis_secret",
        (Role::Coordinator, "s3_region") => "mitosis",
        (Role::Coordinator, "artifacts_bucket") => "mitosis-artifacts",
        (Role::Coordinator, "attachments_bucket") => "mitosis-attachments",
        (Role::Coordinator, "admin_user" | "admin_password") => "mitosis_admin",
        (Role::Coordinator, "access_token_private_path") => "private.pem",
        (Role::Coordinator, "access_token_public_path") => "public.pem",
        (Role::Coordinator, "access_token_expires_in") => "7d",
        (Role::Coordinator, "heartbeat_timeout") => "10m",
        (Role::Worker | Role::Client, "coordinator_addr") => "http://127.0.0.1:5000",
        (Role::Worker, "polling_interval") => "3m",
        (Role::Worker, "heartbeat_interval") => "5m",
        (Role::Coordinator, "trusted_proxies") | (Role::Worker, "groups" | "tags" | "labels") => "[]",
        (Role::Worker, "slots") => "1",
        (Role::Worker, "retain") => "true",
        (
            _,
            "s3_force_path_style"
            | "redis_skip_acl_rules"
            | "file_log"
            | "retain"
            | "skip_redis"
            | "shared_log",
        ) => "false",
        (Role::Worker | Role::Client, "credential_path") => {
            return Some(environment.config_folder().join("credentials").display().to_string());
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// The value of a key as it may be shown.
pub(crate) fn without_secrets(key: &str, value: &str) -> String {
    let secret = key.contains("password") || key.contains("secret") || key == "token";
    if secret && !value.is_empty() {
        return "***".to_owned();
    }
    match Url::parse(value) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.to_string(),
            Err(()) => "***".to_owned(),
        },
        // An `@` that is not in the place of credentials is one that should have been written as %40.
        Ok(url) if url.has_host() && (url.username() != "" || !value.contains('@')) => value.to_owned(),
        // An address that is none may hold a password all the same.
        _ if (key.ends_with("_url") || key == "coordinator_addr") && value.contains('@') => "***".to_owned(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::client::ClientConfig;
    use crate::config::worker::WorkerConfig;
    use crate::config::{Layers, coordinator};

    #[test]
    fn the_defaults_that_are_shown_are_those_that_hold() {
        let environment = Environment::from([("HOME", "/home/ann")]);
        let default = |role, key| of(role, key, &environment).unwrap();
        let seconds = |text: String| mitosis_protocol::duration::parse(&text).unwrap();
        let layers = Layers::default();

        let settings = coordinator::settings(&layers).unwrap();
        assert_eq!(default(Role::Coordinator, "bind"), settings.bind.to_string());
        assert_eq!(default(Role::Coordinator, "admin_user"), settings.admin_user);
        assert_eq!(seconds(default(Role::Coordinator, "access_token_expires_in")), settings.token_lifetime);
        assert_eq!(seconds(default(Role::Coordinator, "heartbeat_timeout")), settings.heartbeat_timeout);
        assert_eq!(
            default(Role::Coordinator, "access_token_private_path"),
            settings.keys.private.display().to_string()
        );
        let mitosis_coordinator::Objects::S3(s3) = settings.objects else { panic!("S3 is the default") };
        assert_eq!(default(Role::Coordinator, "s3_url") + "/", s3.endpoint.to_string());
        assert_eq!(default(Role::Coordinator, "s3_region"), s3.region);

        let client = ClientConfig::new(&layers, &environment);
        assert_eq!(default(Role::Client, "coordinator_addr"), client.address);
        assert_eq!(default(Role::Client, "credential_path"), client.credentials.display().to_string());
        for (role, config) in
            [(Role::Client, &client), (Role::Worker, &ClientConfig::for_worker(&layers, &environment))]
        {
            assert_eq!(default(role, "retain"), config.retain.to_string(), "{role:?}");
        }
        let worker = WorkerConfig::new(&layers).unwrap();
        assert_eq!(seconds(default(Role::Worker, "polling_interval")), worker.polling_interval);
        assert_eq!(seconds(default(Role::Worker, "heartbeat_interval")), worker.heartbeat_interval);
        assert_eq!(default(Role::Worker, "slots"), worker.slots.to_string());
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(without_secrets("admin_password", "hunter2"), "***");
        assert_eq!(without_secrets("s3_secret_key", "hunter2"), "***");
        assert_eq!(without_secrets("db_url", "postgres://u:hunter2@h/d"), "postgres://u:***@h/d");
        assert_eq!(without_secrets("redis_url", "redis://:hunter2@h:1"), "redis://:***@h:1");
        assert_eq!(without_secrets("db_url", "u:hunter2@h"), "***");
        assert_eq!(without_secrets("db_url", "postgres://u:1/hunter2@h/d"), "***");
        assert_eq!(without_secrets("db_url", "postgres://u:x@hunter2@h/d"), "postgres://u:***@h/d");
        assert_eq!(without_secrets("coordinator_addr", "u:hunter2@h"), "***");
        assert_eq!(without_secrets("bind", "127.0.0.1:5000"), "127.0.0.1:5000");
        assert_eq!(without_secrets("token", "mito_pat_x"), "***");
        assert_eq!(without_secrets("token_path", "/run/t"), "/run/t");
        assert_eq!(without_secrets("password", ""), "");
    }
}
