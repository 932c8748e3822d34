//! `mito coordinator`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::text;
use crate::config::Options;

/// Options of `mito coordinator`. Each overrides the key of the configuration with a similar name.
#[derive(Debug, Args)]
pub(crate) struct CoordinatorArgs {
    /// The address to bind to
    #[arg(short, long)]
    bind: Option<String>,
    /// Serve HTTPS with the certificate in this PEM file; read again on SIGHUP
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "PATH")]
    tls_key: Option<PathBuf>,
    /// The address by which others know the coordinator, such as https://mito.example/lab
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// The database URL: postgres://… or sqlite:///path
    #[arg(long, value_name = "DB_URL")]
    db: Option<String>,
    /// The S3 URL, or file:///path
    #[arg(long, value_name = "S3_URL")]
    s3: Option<String>,
    /// The S3 URL under which clients and workers reach the objects, if that is another one
    #[arg(long)]
    s3_public_url: Option<String>,
    /// The S3 access key
    #[arg(long)]
    s3_access_key: Option<String>,
    /// The S3 secret key; better kept in the config file or in MITO_S3_SECRET_KEY
    #[arg(long)]
    s3_secret_key: Option<String>,
    /// The S3 region
    #[arg(long)]
    s3_region: Option<String>,
    /// Put the bucket into the path of an S3 URL, not into its host name
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
    /// The Redis worker password
    #[arg(long)]
    redis_worker_password: Option<String>,
    /// The Redis client password
    #[arg(long)]
    redis_client_password: Option<String>,
    /// Leave the users of Redis as they are
    #[arg(long)]
    redis_skip_acl_rules: bool,
    /// The admin username
    #[arg(long)]
    admin_user: Option<String>,
    /// The admin password
    #[arg(long)]
    admin_password: Option<String>,
    /// The path to the private key, default to `private.pem`
    #[arg(long)]
    access_token_private_path: Option<PathBuf>,
    /// The path to the public key, default to `public.pem`
    #[arg(long)]
    access_token_public_path: Option<PathBuf>,
    /// The access token expiration time, default to 7 days
    #[arg(long, value_parser = text::duration)]
    access_token_expires_in: Option<Duration>,
    /// The heartbeat timeout, default to 600 seconds
    #[arg(long, value_parser = text::duration)]
    heartbeat_timeout: Option<Duration>,
    /// Remove ended tasks and their archives when they are older than this, such as `90d`; kept for ever
    /// unless set
    #[arg(long, value_parser = text::duration)]
    retain_tasks: Option<Duration>,
    /// Proxies, as addresses or networks, whose X-Forwarded-* and Forwarded headers are believed
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// The log file path. If not specified, a daily file in the default place is used. If specified,
    /// then exactly this file
    #[arg(long)]
    log_path: Option<PathBuf>,
    /// Enable logging to file
    #[arg(long)]
    file_log: bool,
}

impl CoordinatorArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("bind", self.bind.as_ref())
            .path("tls_cert", self.tls_cert.as_ref())
            .path("tls_key", self.tls_key.as_ref())
            .text("public_url", self.public_url.as_ref())
            .text("db_url", self.db.as_ref())
            .text("s3_url", self.s3.as_ref())
            .text("s3_public_url", self.s3_public_url.as_ref())
            .text("s3_access_key", self.s3_access_key.as_ref())
            .text("s3_secret_key", self.s3_secret_key.as_ref())
            .text("s3_region", self.s3_region.as_ref())
            .flag("s3_force_path_style", self.s3_force_path_style)
            .text("artifacts_bucket", self.artifacts_bucket.as_ref())
            .text("attachments_bucket", self.attachments_bucket.as_ref())
            .text("redis_url", self.redis.as_ref())
            .text("redis_worker_password", self.redis_worker_password.as_ref())
            .text("redis_client_password", self.redis_client_password.as_ref())
            .flag("redis_skip_acl_rules", self.redis_skip_acl_rules)
            .text("admin_user", self.admin_user.as_ref())
            .text("admin_password", self.admin_password.as_ref())
            .path("access_token_private_path", self.access_token_private_path.as_ref())
            .path("access_token_public_path", self.access_token_public_path.as_ref())
            .duration("access_token_expires_in", self.access_token_expires_in)
            .duration("heartbeat_timeout", self.heartbeat_timeout)
            .duration("retain_tasks", self.retain_tasks)
            .words("trusted_proxies", &self.trusted_proxies)
            .path("log_path", self.log_path.as_ref())
            .flag("file_log", self.file_log)
    }
}
