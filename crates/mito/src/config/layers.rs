//! Merges the layers of the configuration key by key.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::{ConfigError, Origin};
use super::file::{self, FileValues};
use super::instances::{Instance, Instances};
use super::keys::{self, Key, KeyType, Role};
use super::value::Value;

/// The keys that select a coordinator or a user. If any of them is set, a running `mito dev` is not looked for.
const EXPLICIT: [&str; 6] = [
    keys::COORDINATOR_ADDR.name(),
    keys::CREDENTIAL_PATH.name(),
    keys::USER.name(),
    keys::PASSWORD.name(),
    keys::TOKEN.name(),
    keys::TOKEN_PATH.name(),
];

/// The values of options that were given.
#[derive(Debug, Default)]
pub(crate) struct Options(Vec<(&'static str, Value)>);

impl Options {
    /// Sets the value of an option, if it was given.
    pub(crate) fn set<T: KeyType>(mut self, key: Key<T>, value: Option<T>) -> Self {
        self.0.extend(value.map(|value| (key.name(), value.into_value())));
        self
    }

    /// Sets a flag, which can only turn a key on.
    pub(crate) fn flag(self, key: Key<bool>, given: bool) -> Self {
        self.set(key, given.then_some(true))
    }

    /// Sets a flag that turns a key off.
    pub(crate) fn no_flag(self, key: Key<bool>, given: bool) -> Self {
        self.set(key, given.then_some(false))
    }

    /// Sets a list; an empty one keeps the value of the lower layer.
    pub(crate) fn words(self, key: Key<Vec<String>>, words: &[String]) -> Self {
        self.set(key, (!words.is_empty()).then(|| words.to_vec()))
    }
}

/// The effective values with their origins.
#[derive(Debug)]
pub(crate) struct Layers {
    role: Role,
    values: BTreeMap<&'static str, (Value, Origin)>,
    warnings: Vec<String>,
    /// The values that higher layers override, the lowest first.
    hidden: Vec<(&'static str, Value, Origin)>,
}

impl Layers {
    /// Reads all layers for a role, and prints warnings about entries without effect.
    pub(crate) fn load(
        role: Role,
        config: Option<&Path>,
        options: Options,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let layers = Self::load_quietly(role, config, options, environment)?;
        for warning in &layers.warnings {
            // An error while writing a warning is ignored.
            let _ = writeln!(io::stderr(), "mito: {warning}");
        }
        Ok(layers)
    }

    /// Reads all layers for a role without printing warnings.
    pub(crate) fn load_quietly(
        role: Role,
        config: Option<&Path>,
        options: Options,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::load_in(&file::working_folder()?, role, config, options, environment)
    }

    fn load_in(
        here: &Path,
        role: Role,
        config: Option<&Path>,
        options: Options,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::empty(role);
        let mut globals = Vec::new();
        for path in files_in(here, config, environment)? {
            let FileValues { own, global, warnings } = file::read(&path, role)?;
            layers.warnings.extend(warnings);
            layers.put(own.into_iter().map(|(key, value, origin)| (key.name, value, origin)));
            globals.extend(global.into_iter().map(|(key, value, origin)| (key.name, value, origin)));
        }
        layers.put(variables(role, environment)?);
        layers.put(options.0.into_iter().map(|(key, value)| (key, value, Origin::Option)));
        layers.put(globals);
        if role == Role::Client {
            layers.use_running_instance(environment)?;
        }
        Ok(layers)
    }

    /// Uses a running `mito dev` if neither a coordinator nor a user is configured.
    fn use_running_instance(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        if EXPLICIT.iter().any(|key| self.values.contains_key(key)) {
            return Ok(());
        }
        let Instances { mut running, refused } = Instances::find(environment);
        self.warnings.extend(refused);
        if running.len() > 1 {
            return Err(ConfigError::SeveralInstances(running));
        }
        let Some(Instance { address, data, credentials, .. }) = running.pop() else { return Ok(()) };
        let origin = Origin::Instance(data);
        self.put([
            (keys::COORDINATOR_ADDR.name(), Value::Text(address), origin.clone()),
            (keys::CREDENTIAL_PATH.name(), Value::Path(credentials), origin),
        ]);
        Ok(())
    }

    fn put(&mut self, values: impl IntoIterator<Item = (&'static str, Value, Origin)>) {
        for (key, value, origin) in values {
            if let Some((value, origin)) = self.values.insert(key, (value, origin)) {
                self.hidden.push((key, value, origin));
            }
        }
    }

    /// Creates layers without values.
    pub(crate) const fn empty(role: Role) -> Self {
        Self { role, values: BTreeMap::new(), warnings: Vec::new(), hidden: Vec::new() }
    }

    /// Logs the warnings.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The value and the origin of a key; none if it is not set.
    pub(crate) fn lookup(&self, key: &str) -> Option<(&Value, &Origin)> {
        self.values.get(key).map(|(value, origin)| (value, origin))
    }

    /// The origin of a value; none if it is not set.
    pub(crate) fn origin<T: KeyType>(&self, key: Key<T>) -> Option<&Origin> {
        self.lookup(key.name()).map(|(_, origin)| origin)
    }

    /// The overridden texts of a key, with their origins.
    pub(crate) fn hidden(&self, key: Key<String>) -> impl Iterator<Item = (&str, &Origin)> {
        self.hidden.iter().filter_map(move |(name, value, origin)| match value {
            Value::Text(text) if *name == key.name() => Some((text.as_str(), origin)),
            _ => None,
        })
    }

    /// The value of a key, if it is set.
    pub(crate) fn get<T: KeyType>(&self, key: Key<T>) -> Option<T> {
        self.lookup(key.name()).and_then(|(value, _)| T::from_value(value))
    }

    /// The value of a key, or its default.
    pub(crate) fn get_or_default<T: KeyType>(&self, key: Key<T>) -> T {
        let default = || self.role.entry(key.name())?.fixed_default();
        self.get(key).or_else(|| T::from_value(&default()?)).expect("the key has a default in the table")
    }

    /// An error about a key, with its origin.
    pub(crate) fn invalid<T: KeyType>(&self, key: Key<T>, why: impl Into<String>) -> ConfigError {
        let key = key.name();
        let origin = self.values.get(key).map_or(Origin::Option, |(_, origin)| origin.clone());
        ConfigError::Invalid { key, origin, why: why.into() }
    }
}

/// The configuration files that exist, the lowest precedence first.
pub(crate) fn files(config: Option<&Path>, environment: &Environment) -> Result<Vec<PathBuf>, ConfigError> {
    files_in(&file::working_folder()?, config, environment)
}

fn files_in(
    here: &Path,
    config: Option<&Path>,
    environment: &Environment,
) -> Result<Vec<PathBuf>, ConfigError> {
    let users_own = environment.config_folder().join("config.toml");
    let given = match config {
        Some(name) => Some(file::find(name, here).ok_or_else(|| ConfigError::Missing(name.to_owned()))?),
        None => file::find(Path::new("config.toml"), here),
    };
    Ok([users_own.is_file().then_some(users_own), given].into_iter().flatten().collect())
}

fn variables(
    role: Role,
    environment: &Environment,
) -> Result<Vec<(&'static str, Value, Origin)>, ConfigError> {
    let mut values = Vec::new();
    for key in role.entries() {
        let name = format!("MITO_{}", key.name.to_uppercase());
        let Some(text) = environment.text(&name) else { continue };
        let origin = Origin::Variable(name);
        let value = Value::from_variable(key.kind, text).map_err(|source| ConfigError::InvalidValue {
            key: key.name,
            origin: origin.clone(),
            source,
        })?;
        values.push((key.name, value, origin));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn with(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn load(&self, variables: &[(&str, &str)], options: Options) -> Result<Layers, ConfigError> {
            self.load_file(None, variables, options)
        }

        fn load_file(
            &self,
            config: Option<&str>,
            variables: &[(&str, &str)],
            options: Options,
        ) -> Result<Layers, ConfigError> {
            let config_home = self.0.path().join("xdg");
            let mut environment = Environment::from([("XDG_CONFIG_HOME", config_home.to_str().unwrap())]);
            for (name, value) in variables {
                environment.set(name, value);
            }
            let here = self.0.path().join("a/b");
            std::fs::create_dir_all(&here).unwrap();
            Layers::load_in(&here, Role::Coordinator, config.map(Path::new), options, &environment)
        }
    }

    #[test]
    fn higher_layer_overrides_single_keys() {
        let home = Home::new()
            .with(
                "xdg/mitosis/config.toml",
                "[coordinator]\nbind='user'\ndb_url='user'\ns3_url='user'\ns3_region='user'",
            )
            .with(
                "a/config.toml",
                "[coordinator]\ndb_url='file'\ns3_url='file'\ns3_region='file'\n[worker]\ntags=['gpu']",
            );
        let db = "option".to_owned();
        let layers = home
            .load(
                &[("MITO_S3_URL", "variable"), ("MITO_DB_URL", "variable")],
                Options::default().set(keys::DB_URL, Some(db)),
            )
            .unwrap();
        let seen =
            [keys::BIND, keys::S3_REGION, keys::S3_URL, keys::DB_URL].map(|key| layers.get(key).unwrap());
        assert_eq!(seen, ["user", "file", "variable", "option"]);
    }

    #[test]
    fn global_table_overrides_and_default_table_is_ignored() {
        let home = Home::new().with(
            "config.toml",
            "[global]\ndb_url='global'\ntags=['x']\n[default]\nanything=1\n[coordinator]\nbind='own'",
        );
        let db = "option".to_owned();
        let layers = home.load(&[], Options::default().set(keys::DB_URL, Some(db))).unwrap();
        assert_eq!([keys::DB_URL, keys::BIND].map(|key| layers.get(key).unwrap()), ["global", "own"]);
    }

    #[test]
    fn relative_path_starts_at_the_directory_of_its_file() {
        let home = Home::new()
            .with("a/config.toml", "[coordinator]\nlog_path='logs/x.log'\nheartbeat_timeout='90s'");
        let layers = home.load(&[("MITO_ACCESS_TOKEN_PUBLIC_PATH", "here.pem")], Options::default()).unwrap();
        assert_eq!(layers.get(keys::LOG_PATH), Some(home.0.path().join("a/logs/x.log")));
        assert_eq!(layers.get(keys::ACCESS_TOKEN_PUBLIC_PATH), Some(PathBuf::from("here.pem")));
        assert_eq!(layers.get(keys::HEARTBEAT_TIMEOUT), Some(Duration::from_secs(90)));
    }

    #[test]
    fn errors_show_the_location_and_hide_the_value() {
        let message = |text: &str| {
            let error = Home::new().with("config.toml", text).load(&[], Options::default()).unwrap_err();
            format!("{error} {}", error.hint().unwrap_or_default())
        };
        assert!(message("[coordinator]\ndb_ulr='x'").ends_with("did you mean `db_url`?"));
        assert!(message("[cordinator]\n").ends_with("did you mean [coordinator]?"));
        assert!(message("bind='x'").ends_with("put `bind` below [coordinator]"));
        assert!(message("pasword='x'").ends_with("put `password` below [worker] or [client]"));
        let malformed = message("[coordinator]\ns3_secret_key = hunter2\"");
        assert!(malformed.contains("line 2") && !malformed.contains("hunter2"), "{malformed}");
        let wrong = message("[coordinator]\nheartbeat_timeout = 'hunter2'");
        assert!(wrong.contains("`heartbeat_timeout`") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn unknown_names_without_a_similar_one_give_a_warning() {
        for (text, warning) in [
            ("[coordinator]\ncolour='x'", "`colour` in [coordinator] of "),
            ("[coordinator]\nslots=4", "it is a key of [worker]"),
            ("[params]\nx=1", "[params] in "),
            ("baseURL='x'", "`baseURL` in "),
            ("[global]\ncolour='x'", "`colour` in [global] of "),
        ] {
            let layers = Home::new().with("config.toml", text).load(&[], Options::default()).unwrap();
            let [message] = &layers.warnings[..] else { panic!("{text}: {:?}", layers.warnings) };
            assert!(message.contains(warning), "{message}");
            assert!(
                ["ignoring unknown", "is ignored", "no effect"].iter().any(|end| message.contains(end)),
                "{message}"
            );
        }
        for silent in ["[client]\ncolour='x'", "[global]\nslots=4", "[default]\nx=1"] {
            let layers = Home::new().with("config.toml", silent).load(&[], Options::default()).unwrap();
            assert!(layers.warnings.is_empty(), "{silent}");
        }
    }

    #[test]
    fn byte_order_mark_is_skipped() {
        let home = Home::new().with("config.toml", "\u{feff}[coordinator]\nbind='own'");
        assert_eq!(home.load(&[], Options::default()).unwrap().get(keys::BIND).as_deref(), Some("own"));
    }

    #[test]
    fn named_file_must_exist_here_or_in_a_parent_directory() {
        let home = Home::new().with("mine.toml", "[coordinator]\nbind='mine'");
        let layers = home.load_file(Some("mine.toml"), &[], Options::default()).unwrap();
        assert_eq!(layers.get(keys::BIND).as_deref(), Some("mine"));
        let error = home.load_file(Some("other.toml"), &[], Options::default()).unwrap_err();
        assert!(matches!(error, ConfigError::Missing(_)), "{error}");
    }
}
