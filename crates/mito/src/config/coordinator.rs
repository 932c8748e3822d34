//! From layers to a coordinator's settings (command line §3.1).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mitosis_coordinator::{
    Database, KeyFiles, Objects, RedisSettings, S3Settings, Settings, TlsFiles, TrustedProxies,
};
use secrecy::SecretString;
use url::Url;

use super::{ConfigError, Layers, owner};

const DB_URL: &str = "postgres://mitosis:mitosis@localhost/mitosis";
const S3_URL: &str = "http://localhost:9000";

/// What a coordinator is started with.
pub(crate) fn settings(layers: &Layers) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(database(layers)?, objects(layers)?);
    let wanted = "an IP address and a port, such as 127.0.0.1:5000";
    settings.bind = layers.parsed::<SocketAddr>("bind", wanted)?.unwrap_or(settings.bind);
    settings.tls = tls(layers)?;
    settings.public_url = layers.text("public_url").map(|url| public_url(layers, url)).transpose()?;
    if let Some(user) = layers.text("admin_user") {
        user.clone_into(&mut settings.admin_user);
    }
    settings.admin_password = layers.secret("admin_password").unwrap_or(settings.admin_password);
    settings.redis = redis(layers);
    settings.keys = keys(layers)?;
    settings.token_lifetime = positive(layers, "access_token_expires_in", settings.token_lifetime)?;
    settings.heartbeat_timeout = positive(layers, "heartbeat_timeout", settings.heartbeat_timeout)?;
    settings.retain_tasks = retain_tasks(layers)?;
    settings.trusted_proxies = trusted_proxies(layers)?;
    Ok(settings)
}

/// Links for uploads live an hour, and an object must not come after its task was forgotten.
fn retain_tasks(layers: &Layers) -> Result<Option<Duration>, ConfigError> {
    const LEAST: Duration = Duration::from_hours(1);
    match layers.duration("retain_tasks") {
        Some(short) if short < LEAST => {
            Err(layers
                .invalid("retain_tasks", "it must be an hour or more; leave it out to keep tasks for ever"))
        }
        retain => Ok(retain),
    }
}

fn trusted_proxies(layers: &Layers) -> Result<TrustedProxies, ConfigError> {
    let networks = layers.words("trusted_proxies");
    TrustedProxies::parse(networks.iter().map(String::as_str))
        .map_err(|error| layers.invalid("trusted_proxies", error.to_string()))
}

/// Where the state is.
pub(crate) fn database(layers: &Layers) -> Result<Database, ConfigError> {
    let url = layers.text("db_url").unwrap_or(DB_URL);
    if let Some(path) = url.strip_prefix("sqlite://") {
        return embedded_path(layers, "db_url", path).map(Database::Sqlite);
    }
    match url.starts_with("postgres://") || url.starts_with("postgresql://") {
        true => Ok(Database::Postgres(SecretString::from(url))),
        false => Err(layers.invalid("db_url", "it must start with postgres:// or sqlite:///")),
    }
}

fn objects(layers: &Layers) -> Result<Objects, ConfigError> {
    let url = layers.text("s3_url").unwrap_or(S3_URL);
    if let Some(path) = url.strip_prefix("file://") {
        return embedded_path(layers, "s3_url", path).map(Objects::Directory);
    }
    let text = |key, default: &str| layers.text(key).unwrap_or(default).to_owned();
    Ok(Objects::S3(Box::new(S3Settings {
        endpoint: web_address(layers, "s3_url", url)?,
        public_endpoint: layers
            .text("s3_public_url")
            .map(|url| web_address(layers, "s3_public_url", url))
            .transpose()?,
        access_key: text("s3_access_key", "mitosis_access"),
        secret_key: layers.secret("s3_secret_key").unwrap_or_else(|| "mitosis_secret".into()),
        region: text("s3_region", "mitosis"),
        force_path_style: layers.flag("s3_force_path_style"),
        artifacts_bucket: text("artifacts_bucket", "mitosis-artifacts"),
        attachments_bucket: text("attachments_bucket", "mitosis-attachments"),
    })))
}

fn redis(layers: &Layers) -> Option<RedisSettings> {
    Some(RedisSettings {
        url: layers.secret("redis_url")?,
        worker_password: layers.secret("redis_worker_password"),
        client_password: layers.secret("redis_client_password"),
        skip_acl_rules: layers.flag("redis_skip_acl_rules"),
    })
}

/// A pair is made only if no place is configured: a configured one that is missing is a mistake, such as a
/// volume that is not mounted, and new keys would end every session and worker.
fn keys(layers: &Layers) -> Result<KeyFiles, ConfigError> {
    let (private, public) =
        (layers.path("access_token_private_path"), layers.path("access_token_public_path"));
    let files = KeyFiles {
        create: private.is_none() && public.is_none(),
        private: private.map_or_else(|| "private.pem".into(), PathBuf::from),
        public: public.map_or_else(|| "public.pem".into(), PathBuf::from),
    };
    owner::check_owner(&files.private)?;
    owner::check_owner(&files.public)?;
    Ok(files)
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, ConfigError> {
    let (certificate, key) = match (layers.path("tls_cert"), layers.path("tls_key")) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(layers.invalid("tls_cert", "tls_key is missing")),
        (None, Some(_)) => return Err(layers.invalid("tls_key", "tls_cert is missing")),
    };
    owner::check_owner(certificate)?;
    owner::check_owner(key)?;
    Ok(Some(TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() }))
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
        _ => Err(layers.invalid("public_url", "it must be an address such as https://mito.example/lab")),
    }
}

fn positive(layers: &Layers, key: &'static str, default: Duration) -> Result<Duration, ConfigError> {
    match layers.duration(key) {
        Some(given) if given < Duration::from_secs(1) => {
            Err(layers.invalid(key, "it must be a second or more"))
        }
        given => Ok(given.unwrap_or(default)),
    }
}

fn embedded_path(layers: &Layers, key: &'static str, path: &str) -> Result<PathBuf, ConfigError> {
    match path.starts_with('/') && path.len() > 1 {
        true => Ok(PathBuf::from(path)),
        false => Err(layers.invalid(key, "three slashes and an absolute path belong after the scheme")),
    }
}

fn web_address(layers: &Layers, key: &'static str, url: &str) -> Result<Url, ConfigError> {
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        _ => Err(layers.invalid(key, "it must be an address such as http://127.0.0.1:9000")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Options, Role};
    use super::*;

    #[test]
    fn tasks_are_kept_for_as_long_as_their_links_live() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let retained = |given| {
            let options = Options::default().duration("retain_tasks", given);
            retain_tasks(&Layers::load(Role::Coordinator, None, options, &environment).unwrap())
        };
        let hour = Duration::from_hours(1);
        assert_eq!(retained(None).unwrap(), None, "for ever");
        assert_eq!(retained(Some(hour)).unwrap(), Some(hour));
        let refused = retained(Some(Duration::from_secs(3_599))).unwrap_err().to_string();
        assert!(refused.contains("retain_tasks"), "{refused}");
    }
}
