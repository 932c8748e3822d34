//! Every configuration key (command line §3): its type, default, secrecy and documentation.
//!
//! Code reads a value with a [`Key`]; an [`Entry`] describes the key, in the table of each role that has it. `config
//! show`, redaction, the checks of configuration files and `config.example.toml` follow from the tables.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::environment::Environment;
use super::value::{Delay, InvalidValue, Size, Slots, Value};

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// True or false.
    Flag,
    /// A duration such as `1h 30m`.
    Duration,
    /// A path; in a file, it starts at the directory of the file.
    Path,
    /// A list of words.
    Words,
    /// The number of slots, or `auto`.
    Slots,
    /// A duration, or `off`.
    Delay,
    /// A number of bytes, such as `64MiB`.
    Size,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// The whole value.
    Public,
    /// The value without a password in its URL.
    Url,
    /// Nothing.
    Secret,
}

/// A type of value.
pub(crate) trait KeyType: Sized {
    /// The kind of its values.
    const KIND: Kind;
    /// The default secrecy.
    const SECRECY: Secrecy = Secrecy::Public;

    fn from_value(value: &Value) -> Option<Self>;
    fn into_value(self) -> Value;
}

macro_rules! key_type {
    ($type:ty, $kind:ident) => {
        impl KeyType for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$kind(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$kind(self)
            }
        }
    };
}

key_type!(String, Text);
key_type!(bool, Flag);
key_type!(Duration, Duration);
key_type!(PathBuf, Path);
key_type!(Vec<String>, Words);
key_type!(Slots, Slots);
key_type!(Delay, Delay);
key_type!(Size, Size);

impl KeyType for SecretString {
    const KIND: Kind = Kind::Text;
    const SECRECY: Secrecy = Secrecy::Secret;

    fn from_value(value: &Value) -> Option<Self> {
        String::from_value(value).map(Self::from)
    }

    fn into_value(self) -> Value {
        Value::Text(self.expose_secret().to_owned())
    }
}

/// The name of a key, with the type of its value.
#[derive(Debug)]
pub(crate) struct Key<T> {
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T: KeyType> Key<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, of: PhantomData }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.name
    }

    /// Creates an entry without a default. `example` is its value in the example file, in TOML, where it is commented
    /// out.
    const fn unset(self, example: &'static str) -> Entry {
        Entry {
            name: self.name,
            kind: T::KIND,
            secrecy: T::SECRECY,
            default: Default::None,
            example: Some(example),
            commented: true,
            doc: "",
        }
    }

    /// Creates an entry with a default, in the form of an environment variable.
    const fn default(self, text: &'static str) -> Entry {
        Entry { default: Default::Text(text), example: None, commented: false, ..self.unset("") }
    }
}

/// The description of a key of a role.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "a test writes the example file from these"))]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    secrecy: Secrecy,
    default: Default,
    /// The value in the example file, in TOML; the default if not given.
    example: Option<&'static str>,
    /// Whether the key is commented out in the example file.
    commented: bool,
    /// The documentation in the example file.
    doc: &'static str,
}

/// The default of a key.
#[derive(Debug, Clone, Copy)]
enum Default {
    None,
    Text(&'static str),
    /// A file in the user's configuration directory.
    ConfigFile(&'static str),
}

impl Entry {
    const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// Sets a value for the example file that differs from the default.
    const fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    /// Comments the key out in the example file: setting it differs from the default.
    const fn commented(self) -> Self {
        Self { commented: true, ..self }
    }

    /// Hides a password in a URL.
    const fn url(self) -> Self {
        Self { secrecy: Secrecy::Url, ..self }
    }

    const fn in_config_folder(self, file: &'static str) -> Self {
        Self { default: Default::ConfigFile(file), ..self }
    }

    /// The default; none for a feature that is off.
    pub(crate) fn default_value(&self, environment: &Environment) -> Option<Value> {
        match self.default {
            Default::ConfigFile(file) => Some(Value::Path(environment.config_folder().join(file))),
            Default::None | Default::Text(_) => self.fixed_default(),
        }
    }

    /// The default that does not depend on the user.
    pub(super) fn fixed_default(&self) -> Option<Value> {
        match self.default {
            Default::Text(text) => self.parse(text).ok(),
            Default::None | Default::ConfigFile(_) => None,
        }
    }

    fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        Value::from_variable(self.kind, text)
    }

    /// Formats a value without secrets.
    pub(crate) fn redacted(&self, value: &str) -> String {
        const HIDDEN: &str = "***";
        match self.secrecy {
            Secrecy::Public => value.to_owned(),
            Secrecy::Secret if value.is_empty() => String::new(),
            Secrecy::Secret => HIDDEN.to_owned(),
            Secrecy::Url => match Url::parse(value) {
                Ok(mut url) if url.password().is_some() => match url.set_password(Some(HIDDEN)) {
                    Ok(()) => url.to_string(),
                    Err(()) => HIDDEN.to_owned(),
                },
                // An `@` outside the credentials should have been written as %40.
                Ok(url) if url.has_host() && (url.username() != "" || !value.contains('@')) => {
                    value.to_owned()
                }
                // A text that is not a URL may contain a password, too.
                _ if value.contains('@') => HIDDEN.to_owned(),
                _ => value.to_owned(),
            },
        }
    }
}

macro_rules! keys {
    ($($constant:ident: $type:ty = $name:literal;)*) => {
        $(pub(crate) const $constant: Key<$type> = Key::new($name);)*
    };
}

keys! {
    ACCESS_TOKEN_EXPIRES_IN: Duration = "access_token_expires_in";
    ACCESS_TOKEN_PRIVATE_PATH: PathBuf = "access_token_private_path";
    ACCESS_TOKEN_PUBLIC_PATH: PathBuf = "access_token_public_path";
    ADMIN_PASSWORD: SecretString = "admin_password";
    ADMIN_USER: String = "admin_user";
    ARTIFACTS_BUCKET: String = "artifacts_bucket";
    ATTACHMENTS_BUCKET: String = "attachments_bucket";
    BIND: String = "bind";
    CA_CERT: PathBuf = "ca_cert";
    COORDINATOR_ADDR: String = "coordinator_addr";
    CREDENTIAL_PATH: PathBuf = "credential_path";
    CPUS: String = "cpus";
    DB_URL: String = "db_url";
    FILE_LOG: bool = "file_log";
    FRESH_DIRECTORIES_ONLY: bool = "fresh_directories_only";
    GPUS: String = "gpus";
    GROUP: String = "group";
    GROUPS: Vec<String> = "groups";
    HEARTBEAT_INTERVAL: Duration = "heartbeat_interval";
    HEARTBEAT_TIMEOUT: Duration = "heartbeat_timeout";
    INPUT_CACHE: Size = "input_cache";
    ISOLATION: String = "isolation";
    LABELS: Vec<String> = "labels";
    LIFETIME: Duration = "lifetime";
    LOG_PATH: PathBuf = "log_path";
    LOST_AFTER: Duration = "lost_after";
    MEMORY: Size = "memory";
    METRICS_ADDR: String = "metrics_addr";
    NOTIFY_ALLOW: Vec<String> = "notify_allow";
    ON_TERM: String = "on_term";
    ON_TERM_LIMIT: Duration = "on_term_limit";
    OUTPUT_LIMIT: Size = "output_limit";
    PACK_OUTPUT_AFTER: Delay = "pack_output_after";
    PASS_ENV: Vec<String> = "pass_env";
    PASSWORD: SecretString = "password";
    POLLING_INTERVAL: Duration = "polling_interval";
    PUBLIC_URL: String = "public_url";
    REDIS_CLIENT_PASSWORD: SecretString = "redis_client_password";
    REDIS_SKIP_ACL_RULES: bool = "redis_skip_acl_rules";
    REDIS_URL: SecretString = "redis_url";
    REDIS_WORKER_PASSWORD: SecretString = "redis_worker_password";
    RESOURCE: Vec<String> = "resource";
    RETAIN: bool = "retain";
    RETAIN_JOBS: Duration = "retain_jobs";
    RETAIN_OUTPUT: Duration = "retain_output";
    RETAIN_TASKS: Duration = "retain_tasks";
    S3_ACCESS_KEY: String = "s3_access_key";
    S3_FORCE_PATH_STYLE: bool = "s3_force_path_style";
    S3_PUBLIC_URL: String = "s3_public_url";
    S3_REGION: String = "s3_region";
    S3_SECRET_KEY: SecretString = "s3_secret_key";
    S3_URL: String = "s3_url";
    SHARED_LOG: bool = "shared_log";
    SKIP_REDIS: bool = "skip_redis";
    SLOTS: Slots = "slots";
    STOP_AT_OUTPUT_LIMIT: bool = "stop_at_output_limit";
    TAGS: Vec<String> = "tags";
    TLS_CERT: PathBuf = "tls_cert";
    TLS_KEY: PathBuf = "tls_key";
    TOKEN: SecretString = "token";
    TOKEN_PATH: PathBuf = "token_path";
    TRUSTED_PROXIES: Vec<String> = "trusted_proxies";
    USER: String = "user";
}

static COORDINATOR: &[Entry] = &[
    BIND.default("127.0.0.1:5000")
        .doc("Where to listen: an IP address or a name of this machine, and a port. \"0.0.0.0:5000\" also serves other machines."),
    METRICS_ADDR.unset("\"127.0.0.1:9100\"").doc(
        "Also serve GET /metrics here, without a token and without TLS; nothing else is served here. Every client that\n\
         reaches the address sees the names of groups and how much they run: use loopback, or a network for monitoring. Not\n\
         set by default.",
    ),
    TLS_CERT.unset("\"/etc/mitosis/tls.pem\"").doc(
        "HTTPS without a proxy: a certificate (with those between it and the authority) and its key, in PEM; read again\n\
         on SIGHUP. Not set by default.",
    ),
    TLS_KEY.unset("\"/etc/mitosis/tls.key\""),
    PUBLIC_URL.unset("\"https://mito.example/lab\"").url().doc(
        "The address that clients and workers use for the coordinator, for instance that of a proxy. Not set by default.",
    ),
    DB_URL.default("postgres://mitosis:mitosis@localhost/mitosis").url().doc(
        "State: PostgreSQL 15 or later, or an embedded file: \"sqlite:///var/lib/mitosis/state.db\".\n\
         For a server on another machine add \"?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem\"; see\n\
         docs/guide/coordinator.md.",
    ),
    S3_URL.default("http://localhost:9000").url().doc(
        "Objects: an S3-compatible service, or a directory: \"file:///var/lib/mitosis/objects\".\n\
         Clients and workers follow links to this address, so they must be able to reach it.",
    ),
    S3_PUBLIC_URL
        .unset("\"http://coordinator:9000\"")
        .url()
        .doc("The address for these links, if clients and workers use another one. Not set by default: s3_url."),
    S3_ACCESS_KEY.default("mitosis_access"),
    S3_SECRET_KEY.default("mitosis_secret").example("\"mitosis_secret_key\"").doc(
        "The default is \"mitosis_secret\"; this is the one in .env.example, since Garage asks for 16 characters.",
    ),
    S3_REGION.default("mitosis"),
    S3_FORCE_PATH_STYLE
        .default("false")
        .doc("Path style is automatic for addresses without a host name (127.0.0.1, localhost)."),
    ARTIFACTS_BUCKET.default("mitosis-artifacts"),
    ATTACHMENTS_BUCKET.default("mitosis-attachments"),
    REDIS_URL
        .unset("\"redis://:mitosis@localhost\"")
        .url()
        .doc("Live execution states. Not set by default: Redis is off."),
    REDIS_WORKER_PASSWORD.unset("\"\"").doc("Generated once and stored in the database when not set."),
    REDIS_CLIENT_PASSWORD.unset("\"\""),
    REDIS_SKIP_ACL_RULES.default("false").doc("Do not create the Redis users of workers and clients."),
    ADMIN_USER.default("mitosis_admin").doc(
        "The first administrator, created once at the first start. Change the password before other machines can reach\n\
         the coordinator: mito client users change-password",
    ),
    ADMIN_PASSWORD.default("mitosis_admin"),
    ACCESS_TOKEN_PRIVATE_PATH.default("private.pem").example("\"/etc/mitosis/private.pem\"").commented().doc(
        "The pair that signs access tokens. Without these keys it is private.pem and public.pem in the folder where the\n\
         coordinator starts, created at the first start. Files that are named here must exist:\n  \
         openssl genpkey -algorithm ed25519 -out private.pem\n  \
         openssl pkey -in private.pem -pubout -out public.pem",
    ),
    ACCESS_TOKEN_PUBLIC_PATH.default("public.pem").example("\"/etc/mitosis/public.pem\"").commented(),
    ACCESS_TOKEN_EXPIRES_IN.default("7d").doc("Lifetime of an access token."),
    HEARTBEAT_TIMEOUT
        .default("600s")
        .doc("The lease of a worker: after this much silence its tasks run elsewhere."),
    RETAIN_TASKS
        .unset("\"90d\"")
        .doc(
            "Tasks that ended longer ago than this are removed, with their archives. Not set by default: they are kept forever.",
        ),
    RETAIN_JOBS.unset("\"90d\"").doc(
        "Jobs that ended longer ago than this are removed, with their tasks and archives. By default as long as\n\
         retain_tasks.",
    ),
    RETAIN_OUTPUT.unset("\"30d\"").doc(
        "Archives of tasks that ended longer ago than this are removed; the tasks and their results stay. Not set by\n\
         default: they are kept as long as their tasks.",
    ),
    PACK_OUTPUT_AFTER.default("1d").doc(
        "Small outputs are stored in the database at first. After this time they move to the object store, many in one\n\
         object. \"off\" leaves them in the database.",
    ),
    TRUSTED_PROXIES.default("[]").doc(
        "Reverse proxies in front of the coordinator, as addresses or networks: [\"127.0.0.1\", \"10.0.0.0/8\"]. Only from\n\
         them are X-Forwarded-For, -Proto, -Host and -Prefix (or Forwarded) trusted; each of them must write or remove\n\
         these.",
    ),
    NOTIFY_ALLOW.default("[]").example("[\"https://hooks.example.org/jobs\"]").commented().doc(
        "Where the coordinator may send notifications about ended jobs (--notify): beginnings of URLs, such as\n\
         \"https://hooks.example.org/jobs\", or \"https://*.example.org\" for all hosts below a domain. These may only have\n\
         addresses of the Internet, and no host but \"localhost\" one of this machine. By default, nowhere.",
    ),
    FILE_LOG
        .default("false")
        .doc("Also log to a file: log_path, or a daily file under the cache folder when it is not set."),
    LOG_PATH.unset("\"coordinator.log\""),
];

static WORKER: &[Entry] = &[
    COORDINATOR_ADDR
        .default("http://127.0.0.1:5000")
        .url()
        .doc("One address, or those of several coordinators of one database with commas between them."),
    CA_CERT
        .unset("\"/etc/ssl/mito-ca.pem\"")
        .doc("Certificate authorities to trust at https:// addresses besides those of the system, in PEM."),
    POLLING_INTERVAL.default("180s").doc(
        "How long to wait before asking again when a coordinator of 0.6 has no task. A newer one holds the request.",
    ),
    HEARTBEAT_INTERVAL.default("300s").doc("Longest time between two heartbeats."),
    LOST_AFTER
        .unset("\"2m\"")
        .doc("Requeue its tasks after this much silence, if that is less than the coordinator's heartbeat_timeout."),
    CREDENTIAL_PATH.unset("\"credentials\"").in_config_folder("credentials").doc(
        "Where tokens are stored: by default `mitosis/credentials` in the folder for configuration ($XDG_CONFIG_HOME,\n\
         ~/.config).",
    ),
    USER.unset("\"ann\"").doc("User and password are asked for when not set."),
    PASSWORD.unset("\"\""),
    TOKEN.unset("\"mito_pat_…\"").doc("A personal token, in place of a login: the token, or the file that it is in."),
    TOKEN_PATH.unset("\"token\""),
    GROUPS.default("[]").doc("Groups to serve besides your own: \"name\" or \"name:role\"."),
    TAGS.default("[]").doc("What this machine offers; a task runs where all its tags are offered."),
    LABELS.default("[]").doc("Only to find the worker."),
    LIFETIME.unset("\"30d\"").doc("Lifetime of the worker's token; the coordinator's default when not set."),
    PASS_ENV.unset("[\"LD_LIBRARY_PATH\", \"CUDA_*\"]").doc(
        "Commands inherit the worker's environment without what looks like a secret. With a list, they inherit PATH, HOME,\n\
         LANG, LC_*, TZ, TERM, USER, LOGNAME, SHELL, TMPDIR and what is in the list.",
    ),
    SLOTS.default("1").doc("Tasks of the default size to run at once; \"auto\" is one per CPU. With 1, each task has the whole machine."),
    CPUS.unset("\"8\"").doc(
        "What the worker offers to its tasks together: processors, memory, GPUs (a number, or indices \"[0,2]\"), and other\n\
         resources, as numbers or with indices. What is not set is detected. See docs/guide/resources.md.",
    ),
    MEMORY.unset("\"32GiB\""),
    GPUS.unset("\"2\""),
    RESOURCE.unset("[\"licence=2\", \"disk=[sda,sdb]\"]"),
    OUTPUT_LIMIT.default("1GiB").doc(
        "How much is kept of each output stream of a task. Of a longer one, the beginning and the end are kept, half of\n\
         this each; the task runs on.",
    ),
    STOP_AT_OUTPUT_LIMIT.default("false").doc("Stop a task that writes more, instead."),
    INPUT_CACHE.default("10GiB").doc(
        "How many bytes of inputs are kept, so that tasks which share an input download it once; 0 keeps none.",
    ),
    ISOLATION.default("auto").doc(
        "Tasks gain no privileges, and each has a control group if the machine delegates one: \"auto\". With \"cgroup\" the\n\
         worker fails without; with \"none\" tasks may use sudo.",
    ),
    ON_TERM.default("requeue").doc(
        "At the first SIGTERM or Ctrl-C, \"requeue\" stops the tasks, which run elsewhere; \"finish\" lets them end, at most for\n\
         on_term_limit.",
    ),
    ON_TERM_LIMIT.unset("\"10m\""),
    FRESH_DIRECTORIES_ONLY.default("false").doc(
        "Tasks that name a directory start in a fresh one nevertheless, instead of where they were submitted. A task with\n\
         --chdir is cancelled.",
    ),
    RETAIN.default("true").doc("A login keeps the user's other sessions."),
    SKIP_REDIS.default("false").doc("Do not use Redis."),
    FILE_LOG.default("false").doc("Also log to a file; with shared_log, to one file with the other workers of this machine."),
    SHARED_LOG.default("false"),
    LOG_PATH.unset("\"worker.log\""),
];

static CLIENT: &[Entry] = &[
    COORDINATOR_ADDR
        .default("http://127.0.0.1:5000")
        .url()
        .doc("One address, or those of several coordinators of one database with commas between them."),
    CA_CERT
        .unset("\"/etc/ssl/mito-ca.pem\"")
        .doc("Certificate authorities to trust at https:// addresses besides those of the system, in PEM."),
    CREDENTIAL_PATH.unset("\"credentials\"").in_config_folder("credentials").doc("Where tokens are stored."),
    USER.unset("\"ann\"").doc("User and password are asked for when not set."),
    PASSWORD.unset("\"\""),
    TOKEN
        .unset("\"mito_pat_…\"")
        .doc("A personal token, in place of a login: the token, or the file that it is in."),
    TOKEN_PATH.unset("\"token\""),
    RETAIN.default("true").doc("A login keeps the user's other sessions."),
    GROUP
        .unset("\"lab\"")
        .doc("The group of new jobs, without an option `--group`; the user's own if it is not set."),
];

/// A role with its own configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Coordinator,
    Worker,
    Client,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Coordinator, Self::Worker, Self::Client];

    /// The name of the role's table.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }

    pub(crate) fn entries(self) -> &'static [Entry] {
        match self {
            Self::Coordinator => COORDINATOR,
            Self::Worker => WORKER,
            Self::Client => CLIENT,
        }
    }

    pub(crate) fn entry(self, name: &str) -> Option<&'static Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }
}

/// The known name that is most similar to a misspelled one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.len() {
        0..=3 => 1,
        4..=8 => 2,
        length => length / 3,
    };
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two words.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    const HEAD: &str = "\
# Every key is optional; the value shown is the default unless a comment says otherwise.
# Each can also be given as an environment variable (MITO_DB_URL, MITO_S3_SECRET_KEY, …) or as an option.
# A key that is nearly one of these is an error; any other is a warning, and has no effect.
# Durations are written like \"90s\", \"10min\", \"7d\". Relative paths start from the folder of this file.
";

    /// Generates the example file from the tables.
    fn example() -> String {
        let mut text = HEAD.to_owned();
        for role in Role::ALL {
            write!(text, "\n[{}]\n", role.table()).unwrap();
            for (place, entry) in role.entries().iter().enumerate() {
                if place > 0 && !entry.doc.is_empty() {
                    text.push('\n');
                }
                for line in entry.doc.lines() {
                    writeln!(text, "# {line}").unwrap();
                }
                let value = entry.example.map_or_else(|| entry.default_as_toml(), str::to_owned);
                let mark = if entry.commented { "# " } else { "" };
                writeln!(text, "{mark}{} = {value}", entry.name).unwrap();
            }
        }
        text
    }

    impl Entry {
        fn default_as_toml(&self) -> String {
            let Default::Text(text) = self.default else { panic!("{} has no default", self.name) };
            match self.kind {
                Kind::Flag | Kind::Words | Kind::Slots => text.to_owned(),
                Kind::Text | Kind::Duration | Kind::Path | Kind::Delay | Kind::Size => format!("{text:?}"),
            }
        }
    }

    /// `UPDATE_EXAMPLE=1` writes the file.
    #[test]
    fn example_file_is_generated_from_the_tables() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
        if std::env::var_os("UPDATE_EXAMPLE").is_some() {
            std::fs::write(&path, example()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), example(), "run with UPDATE_EXAMPLE=1");
    }

    #[test]
    fn defaults_match_their_keys_and_all_keys_are_listed() {
        for role in Role::ALL {
            for entry in role.entries() {
                if let Default::Text(text) = entry.default {
                    assert!(entry.parse(text).is_ok(), "{role:?} {}", entry.name);
                }
            }
        }
        // The kind of a key is the same in each table.
        for entry in WORKER.iter().chain(CLIENT) {
            let others = Role::ALL.iter().filter_map(|role| role.entry(entry.name));
            assert!(others.into_iter().all(|other| other.kind == entry.kind), "{}", entry.name);
        }
    }

    #[test]
    fn misspelt_key_gets_a_suggestion() {
        let known = || COORDINATOR.iter().map(|entry| entry.name);
        assert_eq!(nearest("db_ulr", known()), Some("db_url"));
        assert_eq!(nearest("s3_acess_key", known()), Some("s3_access_key"));
        assert_eq!(nearest("bnid", known()), Some("bind"));
        for unlike in ["colour", "db", "tls", "host", "port"] {
            assert_eq!(nearest(unlike, known().chain(["tags", "slots"])), None, "{unlike}");
        }
    }

    #[test]
    fn secrets_are_redacted() {
        let redacted = |key: &str, value: &str| {
            let entry = Role::ALL.into_iter().find_map(|role| role.entry(key)).unwrap();
            entry.redacted(value)
        };
        for (key, value, shown) in [
            ("admin_password", "hunter2", "***"),
            ("s3_secret_key", "hunter2", "***"),
            ("redis_worker_password", "hunter2", "***"),
            ("db_url", "postgres://u:hunter2@h/d", "postgres://u:***@h/d"),
            ("redis_url", "redis://:hunter2@h:1", "redis://:***@h:1"),
            ("db_url", "u:hunter2@h", "***"),
            ("db_url", "postgres://u:1/hunter2@h/d", "***"),
            ("db_url", "postgres://u:x@hunter2@h/d", "postgres://u:***@h/d"),
            ("coordinator_addr", "u:hunter2@h", "***"),
            ("bind", "127.0.0.1:5000", "127.0.0.1:5000"),
            ("token", "mito_pat_x", "***"),
            ("token_path", "/run/t", "/run/t"),
            ("password", "", ""),
        ] {
            assert_eq!(redacted(key, value), shown, "{key} = {value}");
        }
    }

    /// Keys with the name of a secret are secret.
    #[test]
    fn no_secret_is_declared_public() {
        for entry in Role::ALL.into_iter().flat_map(Role::entries) {
            let looks_secret =
                entry.name.contains("password") || entry.name.contains("secret") || entry.name == "token";
            assert_eq!(entry.secrecy == Secrecy::Secret, looks_secret, "{}", entry.name);
            let looks_like_url = entry.name.ends_with("_url") || entry.name == "coordinator_addr";
            assert_eq!(entry.secrecy == Secrecy::Url, looks_like_url, "{}", entry.name);
        }
    }
}
