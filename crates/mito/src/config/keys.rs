//! Every key there is, by role (command line §3).

/// What kind of value a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// True or false.
    Flag,
    /// Humantime text.
    Duration,
    /// A path; in a file it starts from the folder of the file.
    Path,
    /// A list of words.
    Words,
    /// How many tasks to run at once: a number, or `auto`.
    Slots,
}

/// A key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Coordinator,
    Worker,
    Client,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

static COORDINATOR: &[Key] = &[
    key("bind", Kind::Text),
    key("tls_cert", Kind::Path),
    key("tls_key", Kind::Path),
    key("public_url", Kind::Text),
    key("db_url", Kind::Text),
    key("s3_url", Kind::Text),
    key("s3_public_url", Kind::Text),
    key("s3_access_key", Kind::Text),
    key("s3_secret_key", Kind::Text),
    key("s3_region", Kind::Text),
    key("s3_force_path_style", Kind::Flag),
    key("artifacts_bucket", Kind::Text),
    key("attachments_bucket", Kind::Text),
    key("redis_url", Kind::Text),
    key("redis_worker_password", Kind::Text),
    key("redis_client_password", Kind::Text),
    key("redis_skip_acl_rules", Kind::Flag),
    key("admin_user", Kind::Text),
    key("admin_password", Kind::Text),
    key("access_token_private_path", Kind::Path),
    key("access_token_public_path", Kind::Path),
    key("access_token_expires_in", Kind::Duration),
    key("heartbeat_timeout", Kind::Duration),
    key("retain_tasks", Kind::Duration),
    key("trusted_proxies", Kind::Words),
    key("file_log", Kind::Flag),
    key("log_path", Kind::Path),
];

static WORKER: &[Key] = &[
    key("coordinator_addr", Kind::Text),
    key("ca_cert", Kind::Path),
    key("polling_interval", Kind::Duration),
    key("heartbeat_interval", Kind::Duration),
    key("lost_after", Kind::Duration),
    key("credential_path", Kind::Path),
    key("user", Kind::Text),
    key("password", Kind::Text),
    key("token", Kind::Text),
    key("token_path", Kind::Path),
    key("groups", Kind::Words),
    key("tags", Kind::Words),
    key("labels", Kind::Words),
    key("lifetime", Kind::Duration),
    key("pass_env", Kind::Words),
    key("slots", Kind::Slots),
    key("retain", Kind::Flag),
    key("skip_redis", Kind::Flag),
    key("file_log", Kind::Flag),
    key("shared_log", Kind::Flag),
    key("log_path", Kind::Path),
];

static CLIENT: &[Key] = &[
    key("coordinator_addr", Kind::Text),
    key("ca_cert", Kind::Path),
    key("credential_path", Kind::Path),
    key("user", Kind::Text),
    key("password", Kind::Text),
    key("token", Kind::Text),
    key("token_path", Kind::Path),
    key("retain", Kind::Flag),
];

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Coordinator, Self::Worker, Self::Client];

    /// The name of its table.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }

    pub(crate) fn keys(self) -> &'static [Key] {
        match self {
            Self::Coordinator => COORDINATOR,
            Self::Worker => WORKER,
            Self::Client => CLIENT,
        }
    }

    pub(crate) fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().iter().find(|key| key.name == name)
    }
}

/// The known name that a misspelt one was probably meant to be.
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

/// How many letters have to be changed, added or left out to get from one word to the other.
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
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_nonsense_finds_none() {
        let known = || COORDINATOR.iter().map(|key| key.name);
        assert_eq!(nearest("db_ulr", known()), Some("db_url"));
        assert_eq!(nearest("s3_acess_key", known()), Some("s3_access_key"));
        assert_eq!(nearest("bnid", known()), Some("bind"));
        for unlike in ["colour", "db", "tls", "host", "port"] {
            assert_eq!(nearest(unlike, known().chain(["tags", "slots"])), None, "{unlike}");
        }
    }
}
