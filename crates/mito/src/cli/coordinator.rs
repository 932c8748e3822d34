//! `mito coordinator`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::value_parsers;
use crate::config::{Delay, Options, keys};

/// Options of `mito coordinator`. Each overrides the key of the configuration with a similar name.
#[derive(Debug, Args)]
pub(crate) struct CoordinatorArgs {
    /// The address to listen on
    #[arg(short, long)]
    bind: Option<String>,
    /// Also serve `/metrics` on this address, without a token
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<String>,
    /// Serve HTTPS with the certificate in this PEM file; reloaded on SIGHUP
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "PATH")]
    tls_key: Option<PathBuf>,
    /// Public address of the coordinator, such as `https://mito.example/lab`
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// The database URL: postgres://… or sqlite:///path
    #[arg(long, value_name = "DB_URL")]
    db: Option<String>,
    /// The S3 URL, or file:///path
    #[arg(long, value_name = "S3_URL")]
    s3: Option<String>,
    /// Object store URL to put in links, if it differs from --s3
    #[arg(long)]
    s3_public_url: Option<String>,
    /// The S3 access key
    #[arg(long)]
    s3_access_key: Option<String>,
    /// The S3 secret key; prefer the config file or MITO_S3_SECRET_KEY
    #[arg(long)]
    s3_secret_key: Option<String>,
    /// The S3 region
    #[arg(long)]
    s3_region: Option<String>,
    /// Use path-style S3 URLs
    #[arg(long)]
    s3_force_path_style: bool,
    /// The bucket of artifacts
    #[arg(long)]
    artifacts_bucket: Option<String>,
    /// The bucket of attachments
    #[arg(long)]
    attachments_bucket: Option<String>,
    /// The Redis URL
    #[arg(long, value_name = "REDIS_URL")]
    redis: Option<String>,
    /// Password of the Redis user for workers
    #[arg(long)]
    redis_worker_password: Option<String>,
    /// Password of the Redis user for clients
    #[arg(long)]
    redis_client_password: Option<String>,
    /// Do not create Redis users and their ACL rules; they must already exist
    #[arg(long)]
    redis_skip_acl_rules: bool,
    /// The admin username
    #[arg(long)]
    admin_user: Option<String>,
    /// The admin password
    #[arg(long)]
    admin_password: Option<String>,
    /// Path of the private key [default: private.pem]
    #[arg(long)]
    access_token_private_path: Option<PathBuf>,
    /// Path of the public key [default: public.pem]
    #[arg(long)]
    access_token_public_path: Option<PathBuf>,
    /// Lifetime of an access token [default: 7d]
    #[arg(long, value_parser = value_parsers::duration)]
    access_token_expires_in: Option<Duration>,
    /// Heartbeat timeout: the lease of a worker [default: 600s]
    #[arg(long, value_parser = value_parsers::duration)]
    heartbeat_timeout: Option<Duration>,
    /// Delete ended tasks and their artifacts after this time, such as `90d` (default: never)
    #[arg(long, value_parser = value_parsers::duration)]
    retain_tasks: Option<Duration>,
    /// Delete ended jobs with their tasks and artifacts after this time (default: that of --retain-tasks)
    #[arg(long, value_parser = value_parsers::duration)]
    retain_jobs: Option<Duration>,
    /// Delete the artifacts of ended tasks after this time, such as `30d` (default: with their task)
    #[arg(long, value_parser = value_parsers::duration)]
    retain_output: Option<Duration>,
    /// Move small outputs from the database to the object store after this time; `off` for never [default: 1d]
    #[arg(long, value_name = "DURATION|off")]
    pack_output_after: Option<Delay>,
    /// Addresses or networks of proxies whose X-Forwarded-* and Forwarded headers are trusted
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Beginnings of URLs to which notifications about ended jobs may be sent (default: none)
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    notify_allow: Vec<String>,
    /// Path of the log file (default: a daily file in the cache directory)
    #[arg(long)]
    log_path: Option<PathBuf>,
    /// Log to a file
    #[arg(long)]
    file_log: bool,
}

impl CoordinatorArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .set(keys::BIND, self.bind.clone())
            .set(keys::METRICS_ADDR, self.metrics_addr.clone())
            .set(keys::TLS_CERT, self.tls_cert.clone())
            .set(keys::TLS_KEY, self.tls_key.clone())
            .set(keys::PUBLIC_URL, self.public_url.clone())
            .set(keys::DB_URL, self.db.clone())
            .set(keys::S3_URL, self.s3.clone())
            .set(keys::S3_PUBLIC_URL, self.s3_public_url.clone())
            .set(keys::S3_ACCESS_KEY, self.s3_access_key.clone())
            .set(keys::S3_SECRET_KEY, self.s3_secret_key.clone().map(Into::into))
            .set(keys::S3_REGION, self.s3_region.clone())
            .flag(keys::S3_FORCE_PATH_STYLE, self.s3_force_path_style)
            .set(keys::ARTIFACTS_BUCKET, self.artifacts_bucket.clone())
            .set(keys::ATTACHMENTS_BUCKET, self.attachments_bucket.clone())
            .set(keys::REDIS_URL, self.redis.clone().map(Into::into))
            .set(keys::REDIS_WORKER_PASSWORD, self.redis_worker_password.clone().map(Into::into))
            .set(keys::REDIS_CLIENT_PASSWORD, self.redis_client_password.clone().map(Into::into))
            .flag(keys::REDIS_SKIP_ACL_RULES, self.redis_skip_acl_rules)
            .set(keys::ADMIN_USER, self.admin_user.clone())
            .set(keys::ADMIN_PASSWORD, self.admin_password.clone().map(Into::into))
            .set(keys::ACCESS_TOKEN_PRIVATE_PATH, self.access_token_private_path.clone())
            .set(keys::ACCESS_TOKEN_PUBLIC_PATH, self.access_token_public_path.clone())
            .set(keys::ACCESS_TOKEN_EXPIRES_IN, self.access_token_expires_in)
            .set(keys::HEARTBEAT_TIMEOUT, self.heartbeat_timeout)
            .set(keys::RETAIN_TASKS, self.retain_tasks)
            .set(keys::RETAIN_JOBS, self.retain_jobs)
            .set(keys::RETAIN_OUTPUT, self.retain_output)
            .set(keys::PACK_OUTPUT_AFTER, self.pack_output_after)
            .words(keys::TRUSTED_PROXIES, &self.trusted_proxies)
            .words(keys::NOTIFY_ALLOW, &self.notify_allow)
            .set(keys::LOG_PATH, self.log_path.clone())
            .flag(keys::FILE_LOG, self.file_log)
    }
}
