//! The settings of a coordinator (command line §3.1).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mitosis_coordinator::{
    AllowedReceivers, Database, KeyFiles, Objects, RedisSettings, S3Settings, Settings, TlsFiles,
    TrustedProxies,
};
use secrecy::SecretString;
use url::Url;

use super::keys::{self, Key};
use super::value::Delay;
use super::{ConfigError, Layers, bind_address, file_owner};

/// The settings of a coordinator.
pub(crate) fn settings(layers: &Layers) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(database(layers)?, objects(layers)?);
    settings.bind = bind_address::resolve(&layers.get_or_default(keys::BIND))
        .ok_or_else(|| layers.invalid(keys::BIND, bind_address::expected(5000)))?;
    settings.metrics_addr = metrics_addr(layers)?;
    settings.tls = tls(layers)?;
    settings.public_url = layers.get(keys::PUBLIC_URL).map(|url| public_url(layers, &url)).transpose()?;
    settings.admin_user = layers.get_or_default(keys::ADMIN_USER);
    settings.admin_password = layers.get_or_default(keys::ADMIN_PASSWORD);
    settings.redis = redis(layers);
    settings.keys = key_files(layers)?;
    settings.token_lifetime = positive(layers, keys::ACCESS_TOKEN_EXPIRES_IN)?;
    settings.heartbeat_timeout = positive(layers, keys::HEARTBEAT_TIMEOUT)?;
    settings.retention.tasks = retention(layers, keys::RETAIN_TASKS)?;
    settings.retention.jobs = retention(layers, keys::RETAIN_JOBS)?.or(settings.retention.tasks);
    settings.retention.output = retention(layers, keys::RETAIN_OUTPUT)?;
    settings.retention.pack_output_after = match layers.get_or_default(keys::PACK_OUTPUT_AFTER) {
        Delay::After(time) => Some(time),
        Delay::Off => None,
    };
    settings.trusted_proxies = trusted_proxies(layers)?;
    settings.notify_allow = notify_allow(layers)?;
    Ok(settings)
}

fn metrics_addr(layers: &Layers) -> Result<Option<SocketAddr>, ConfigError> {
    let wrong = || layers.invalid(keys::METRICS_ADDR, bind_address::expected(9100));
    layers
        .get(keys::METRICS_ADDR)
        .map(|address| bind_address::resolve(&address).ok_or_else(wrong))
        .transpose()
}

/// The least retention: upload links are valid for an hour, and an object must not arrive after its record was deleted.
fn retention(layers: &Layers, key: Key<Duration>) -> Result<Option<Duration>, ConfigError> {
    const LEAST: Duration = Duration::from_hours(1);
    match layers.get(key) {
        Some(short) if short < LEAST => {
            Err(layers.invalid(key, "must be at least 1h; omit it to keep everything"))
        }
        retain => Ok(retain),
    }
}

fn trusted_proxies(layers: &Layers) -> Result<TrustedProxies, ConfigError> {
    let networks = layers.get_or_default(keys::TRUSTED_PROXIES);
    TrustedProxies::parse(networks.iter().map(String::as_str))
        .map_err(|error| layers.invalid(keys::TRUSTED_PROXIES, error.to_string()))
}

fn notify_allow(layers: &Layers) -> Result<AllowedReceivers, ConfigError> {
    let entries = layers.get_or_default(keys::NOTIFY_ALLOW);
    AllowedReceivers::parse(entries.iter().map(String::as_str))
        .map_err(|error| layers.invalid(keys::NOTIFY_ALLOW, error.to_string()))
}

/// The URL of the database.
pub(crate) fn database(layers: &Layers) -> Result<Database, ConfigError> {
    let url = layers.get_or_default(keys::DB_URL);
    if let Some(path) = url.strip_prefix("sqlite://") {
        return embedded_path(layers, keys::DB_URL, path).map(Database::Sqlite);
    }
    match url.starts_with("postgres://") || url.starts_with("postgresql://") {
        true => Ok(Database::Postgres(SecretString::from(url))),
        false => Err(layers.invalid(keys::DB_URL, "must start with postgres:// or sqlite:///")),
    }
}

fn objects(layers: &Layers) -> Result<Objects, ConfigError> {
    let url = layers.get_or_default(keys::S3_URL);
    if let Some(path) = url.strip_prefix("file://") {
        return embedded_path(layers, keys::S3_URL, path).map(Objects::Directory);
    }
    Ok(Objects::S3(Box::new(S3Settings {
        endpoint: web_address(layers, keys::S3_URL, &url)?,
        public_endpoint: layers
            .get(keys::S3_PUBLIC_URL)
            .map(|url| web_address(layers, keys::S3_PUBLIC_URL, &url))
            .transpose()?,
        access_key: layers.get_or_default(keys::S3_ACCESS_KEY),
        secret_key: layers.get_or_default(keys::S3_SECRET_KEY),
        region: layers.get_or_default(keys::S3_REGION),
        force_path_style: layers.get_or_default(keys::S3_FORCE_PATH_STYLE),
        artifacts_bucket: layers.get_or_default(keys::ARTIFACTS_BUCKET),
        attachments_bucket: layers.get_or_default(keys::ATTACHMENTS_BUCKET),
    })))
}

fn redis(layers: &Layers) -> Option<RedisSettings> {
    Some(RedisSettings {
        url: layers.get(keys::REDIS_URL)?,
        worker_password: layers.get(keys::REDIS_WORKER_PASSWORD),
        client_password: layers.get(keys::REDIS_CLIENT_PASSWORD),
        skip_acl_rules: layers.get_or_default(keys::REDIS_SKIP_ACL_RULES),
    })
}

/// Generates a key pair only if no path is configured. A missing configured file is an error, such as a volume that is
/// not mounted; new keys would end all sessions and workers.
fn key_files(layers: &Layers) -> Result<KeyFiles, ConfigError> {
    let (private, public) = (keys::ACCESS_TOKEN_PRIVATE_PATH, keys::ACCESS_TOKEN_PUBLIC_PATH);
    let files = KeyFiles {
        create: layers.get(private).is_none() && layers.get(public).is_none(),
        private: layers.get_or_default(private),
        public: layers.get_or_default(public),
    };
    file_owner::check_owner(&files.private)?;
    file_owner::check_owner(&files.public)?;
    Ok(files)
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, ConfigError> {
    let (certificate, key) = match (layers.get(keys::TLS_CERT), layers.get(keys::TLS_KEY)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(layers.invalid(keys::TLS_CERT, "tls_key is missing")),
        (None, Some(_)) => return Err(layers.invalid(keys::TLS_KEY, "tls_cert is missing")),
    };
    file_owner::check_owner(&certificate)?;
    file_owner::check_owner(&key)?;
    Ok(Some(TlsFiles { certificate, key }))
}

fn public_url(layers: &Layers, url: &str) -> Result<Url, ConfigError> {
    let is_plain = |url: &Url| {
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() && is_plain(&url) => {
            Ok(url)
        }
        _ => Err(layers.invalid(keys::PUBLIC_URL, "expected an address such as https://mito.example/lab")),
    }
}

fn positive(layers: &Layers, key: Key<Duration>) -> Result<Duration, ConfigError> {
    match layers.get_or_default(key) {
        given if given < Duration::from_secs(1) => Err(layers.invalid(key, "must be at least 1s")),
        given => Ok(given),
    }
}

fn embedded_path(layers: &Layers, key: Key<String>, path: &str) -> Result<PathBuf, ConfigError> {
    match path.starts_with('/') && path.len() > 1 {
        true => Ok(PathBuf::from(path)),
        false => Err(layers.invalid(key, "expected three slashes and an absolute path after the scheme")),
    }
}

fn web_address(layers: &Layers, key: Key<String>, url: &str) -> Result<Url, ConfigError> {
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        _ => Err(layers.invalid(key, "expected an address such as http://127.0.0.1:9000")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Options, Role};
    use super::*;

    #[test]
    fn tasks_are_kept_while_their_links_are_valid() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let retained = |key, given| {
            let options = Options::default().set(key, given);
            retention(&Layers::load(Role::Coordinator, None, options, &environment).unwrap(), key)
        };
        let hour = Duration::from_hours(1);
        for (key, option) in [
            (keys::RETAIN_TASKS, "--retain-tasks"),
            (keys::RETAIN_JOBS, "--retain-jobs"),
            (keys::RETAIN_OUTPUT, "--retain-output"),
        ] {
            assert_eq!(retained(key, None).unwrap(), None, "for ever");
            assert_eq!(retained(key, Some(hour)).unwrap(), Some(hour));
            let refused = retained(key, Some(Duration::from_secs(3_599))).unwrap_err().to_string();
            assert!(refused.contains(option), "{refused}");
        }
    }

    #[test]
    fn coordinator_defaults_apply() {
        let settings = settings(&Layers::empty(Role::Coordinator)).unwrap();
        let own = Settings::new(Database::Sqlite("/state.db".into()), Objects::Directory("/objects".into()));
        assert_eq!(settings.bind, own.bind);
        assert_eq!(settings.admin_user, own.admin_user);
        assert_eq!(settings.token_lifetime, own.token_lifetime);
        assert_eq!(settings.heartbeat_timeout, own.heartbeat_timeout);
        assert_eq!(settings.retention, own.retention);
        assert!(matches!(settings.objects, Objects::S3(_)));
    }
}
