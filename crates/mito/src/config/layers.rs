//! The layers, put on top of each other key by key.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::environment::Environment;
use super::error::{ConfigError, Origin};
use super::file::{self, FileValues};
use super::keys::Role;
use super::value::{Slots, Value};

/// What the command line says: a value for each key that has an option and was given.
#[derive(Debug, Default)]
pub(crate) struct Options(Vec<(&'static str, Value)>);

impl Options {
    pub(crate) fn text(mut self, key: &'static str, value: Option<&String>) -> Self {
        self.0.extend(value.map(|text| (key, Value::Text(text.clone()))));
        self
    }

    pub(crate) fn path(mut self, key: &'static str, value: Option<&PathBuf>) -> Self {
        self.0.extend(value.map(|path| (key, Value::Path(path.clone()))));
        self
    }

    pub(crate) fn duration(mut self, key: &'static str, value: Option<Duration>) -> Self {
        self.0.extend(value.map(|duration| (key, Value::Duration(duration))));
        self
    }

    /// An option without a value can only turn something on.
    pub(crate) fn flag(mut self, key: &'static str, given: bool) -> Self {
        self.0.extend(given.then_some((key, Value::Flag(true))));
        self
    }

    /// One that turns off what is on by itself.
    pub(crate) fn no_flag(mut self, key: &'static str, given: bool) -> Self {
        self.0.extend(given.then_some((key, Value::Flag(false))));
        self
    }

    /// A list that was not given leaves the one below.
    pub(crate) fn words(mut self, key: &'static str, words: &[String]) -> Self {
        self.0.extend((!words.is_empty()).then(|| (key, Value::Words(words.to_vec()))));
        self
    }

    pub(crate) fn slots(mut self, key: &'static str, value: Option<Slots>) -> Self {
        self.0.extend(value.map(|slots| (key, Value::Slots(slots))));
        self
    }
}

/// The values that count, each with its origin.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
    warnings: Vec<String>,
    /// What stronger layers hide, the weakest first.
    hidden: Vec<(&'static str, Value, Origin)>,
}

impl Layers {
    /// Reads every layer for a role, and says on standard error what has no effect.
    pub(crate) fn load(
        role: Role,
        config: Option<&Path>,
        options: Options,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let layers = Self::load_quietly(role, config, options, environment)?;
        for warning in &layers.warnings {
            // A message that nobody can read is no reason to stop.
            let _ = writeln!(io::stderr(), "mito: {warning}");
        }
        Ok(layers)
    }

    /// Reads every layer for a role, for a caller that logs the warnings itself or has nowhere to write them.
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
        let mut layers = Self::default();
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
        Ok(layers)
    }

    fn put(&mut self, values: impl IntoIterator<Item = (&'static str, Value, Origin)>) {
        for (key, value, origin) in values {
            if let Some((value, origin)) = self.values.insert(key, (value, origin)) {
                self.hidden.push((key, value, origin));
            }
        }
    }

    /// Logs what has no effect.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The value of a key and where it comes from; none when nobody set it.
    pub(crate) fn lookup(&self, key: &'static str) -> Option<(&Value, &Origin)> {
        self.values.get(key).map(|(value, origin)| (value, origin))
    }

    /// Texts of a key that do not count, each with its origin.
    pub(crate) fn hidden<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a Origin)> {
        self.hidden.iter().filter_map(move |(name, value, origin)| match value {
            Value::Text(text) if *name == key => Some((text.as_str(), origin)),
            _ => None,
        })
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<&str> {
        match self.values.get(key)? {
            (Value::Text(text), _) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, key: &'static str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    pub(crate) fn path(&self, key: &'static str) -> Option<&Path> {
        match self.values.get(key)? {
            (Value::Path(path), _) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, key: &'static str) -> Option<Duration> {
        match self.values.get(key)? {
            (Value::Duration(duration), _) => Some(*duration),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &'static str) -> bool {
        matches!(self.values.get(key), Some((Value::Flag(true), _)))
    }

    /// A flag that is on unless somebody turns it off.
    pub(crate) fn flag_or_on(&self, key: &'static str) -> bool {
        !matches!(self.values.get(key), Some((Value::Flag(false), _)))
    }

    pub(crate) fn words(&self, key: &'static str) -> Vec<String> {
        match self.values.get(key) {
            Some((Value::Words(words), _)) => words.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn slots(&self, key: &'static str) -> Option<Slots> {
        match self.values.get(key)? {
            (Value::Slots(slots), _) => Some(*slots),
            _ => None,
        }
    }

    /// Text that stands for something else; `wanted` says what it should look like.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        key: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.invalid(key, format!("it must be {wanted}")))
    }

    /// An error about a key, wherever its value came from.
    pub(crate) fn invalid(&self, key: &'static str, why: impl Into<String>) -> ConfigError {
        let origin = self.values.get(key).map_or(Origin::Option, |(_, origin)| origin.clone());
        ConfigError::Invalid { key, origin, why: why.into() }
    }
}

/// The files that say something, the weakest first.
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
    for key in role.keys() {
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
    fn a_stronger_layer_wins_key_by_key() {
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
                Options::default().text("db_url", Some(&db)),
            )
            .unwrap();
        let seen = ["bind", "s3_region", "s3_url", "db_url"].map(|key| layers.text(key).unwrap());
        assert_eq!(seen, ["user", "file", "variable", "option"]);
    }

    #[test]
    fn the_global_table_is_above_everything_and_the_default_table_below_notice() {
        let home = Home::new().with(
            "config.toml",
            "[global]\ndb_url='global'\ntags=['x']\n[default]\nanything=1\n[coordinator]\nbind='own'",
        );
        let db = "option".to_owned();
        let layers = home.load(&[], Options::default().text("db_url", Some(&db))).unwrap();
        assert_eq!((layers.text("db_url"), layers.text("bind")), (Some("global"), Some("own")));
    }

    #[test]
    fn a_path_in_a_file_starts_from_the_folder_of_the_file() {
        let home = Home::new()
            .with("a/config.toml", "[coordinator]\nlog_path='logs/x.log'\nheartbeat_timeout='90s'");
        let layers = home.load(&[("MITO_ACCESS_TOKEN_PUBLIC_PATH", "here.pem")], Options::default()).unwrap();
        assert_eq!(layers.path("log_path"), Some(home.0.path().join("a/logs/x.log").as_path()));
        assert_eq!(layers.path("access_token_public_path"), Some(Path::new("here.pem")));
        assert_eq!(layers.duration("heartbeat_timeout"), Some(Duration::from_secs(90)));
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_without_their_value() {
        let told = |text: &str| {
            let error = Home::new().with("config.toml", text).load(&[], Options::default()).unwrap_err();
            format!("{error} {}", error.hint().unwrap_or_default())
        };
        assert!(told("[coordinator]\ndb_ulr='x'").ends_with("did you mean `db_url`?"));
        assert!(told("[cordinator]\n").ends_with("did you mean [coordinator]?"));
        assert!(told("bind='x'").ends_with("write `bind` below a line [coordinator]"));
        assert!(told("pasword='x'").ends_with("write `password` below a line [worker] or [client]"));
        let malformed = told("[coordinator]\ns3_secret_key = hunter2\"");
        assert!(malformed.contains("line 2") && !malformed.contains("hunter2"), "{malformed}");
        let wrong = told("[coordinator]\nheartbeat_timeout = 'hunter2'");
        assert!(wrong.contains("`heartbeat_timeout`") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn what_is_unknown_and_near_to_nothing_is_a_warning() {
        for (text, warning) in [
            ("[coordinator]\ncolour='x'", "`colour` in [coordinator] of "),
            ("[coordinator]\nslots=4", "it is a key of [worker]"),
            ("[params]\nx=1", "[params] in "),
            ("baseURL='x'", "`baseURL` in "),
            ("[global]\ncolour='x'", "`colour` in [global] of "),
        ] {
            let layers = Home::new().with("config.toml", text).load(&[], Options::default()).unwrap();
            let [told] = &layers.warnings[..] else { panic!("{text}: {:?}", layers.warnings) };
            assert!(told.contains(warning) && told.contains("no effect"), "{told}");
        }
        for silent in ["[client]\ncolour='x'", "[global]\nslots=4", "[default]\nx=1"] {
            let layers = Home::new().with("config.toml", silent).load(&[], Options::default()).unwrap();
            assert!(layers.warnings.is_empty(), "{silent}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_file() {
        let home = Home::new().with("config.toml", "\u{feff}[coordinator]\nbind='own'");
        assert_eq!(home.load(&[], Options::default()).unwrap().text("bind"), Some("own"));
    }

    #[test]
    fn a_named_file_must_exist_and_is_found_in_a_folder_above() {
        let home = Home::new().with("mine.toml", "[coordinator]\nbind='mine'");
        let layers = home.load_file(Some("mine.toml"), &[], Options::default()).unwrap();
        assert_eq!(layers.text("bind"), Some("mine"));
        let error = home.load_file(Some("other.toml"), &[], Options::default()).unwrap_err();
        assert!(matches!(error, ConfigError::Missing(_)), "{error}");
    }
}
