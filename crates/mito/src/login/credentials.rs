//! The file of tokens (command line §7): one `user:token` per line, readable only by its owner, and shared with
//! workers, the Python SDK and older programs.
//!
//! The lines have no address, so the file `credentials.addresses` beside it records the coordinator of each token. A
//! token of a known coordinator is never sent to another one. A token without a record was stored by another program,
//! and is tried.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::config::read_secret;
use crate::process::atomic_file;

/// The largest number of recorded tokens; older ones are dropped. `mito dev` can have a new address at each start.
const MAX_KNOWN: usize = 100;

/// The file of tokens for one coordinator. It may be missing.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsFile {
    path: PathBuf,
    /// The address of the coordinator, or several of one database.
    addresses: Vec<String>,
}

/// A user name and a token.
pub(crate) type StoredLogin = (String, SecretString);

/// A record of the file of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownToken<'a> {
    address: &'a str,
    user: &'a str,
    token: &'a str,
}

impl KnownToken<'_> {
    fn line(self) -> String {
        format!("{}\t{}\t{}", self.address, self.user, self.token)
    }
}

impl CredentialsFile {
    /// Opens the file for the coordinator at an address, or at several separated by commas.
    pub(crate) fn new(path: PathBuf, address: &str) -> Self {
        Self { path, addresses: address.split(',').map(|one| comparable(one.trim())).collect() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The first candidate for the token of a user.
    pub(crate) fn find(&self, user: Option<&str>) -> io::Result<Option<StoredLogin>> {
        Ok(self.candidates(user)?.into_iter().next())
    }

    /// The candidates for the token of a user, the most likely first. Without a name, the user is that of the first
    /// line that may be for this coordinator.
    pub(crate) fn candidates(&self, user: Option<&str>) -> io::Result<Vec<StoredLogin>> {
        let (lines, beside) = (text_of(&self.path)?, text_of(&self.sibling(".addresses"))?);
        let known: Vec<KnownToken<'_>> = known(&beside).collect();
        let is_here = |known: &KnownToken<'_>| self.addresses.iter().any(|address| address == known.address);
        let is_elsewhere = |token: &str| {
            let mut of_it = known.iter().filter(|known| known.token == token).peekable();
            of_it.peek().is_some() && !of_it.any(is_here)
        };
        let here = known.iter().filter(|known| is_here(known)).map(|known| (known.user, known.token));
        let possible = entries(&lines).filter(|(_, token)| !is_elsewhere(token));
        let user =
            user.or_else(|| possible.clone().next().or_else(|| here.clone().next()).map(|(name, _)| name));
        let mut found: Vec<(&str, &str)> = Vec::new();
        for (name, token) in here.chain(possible).filter(|(name, _)| Some(*name) == user) {
            if !found.contains(&(name, token)) {
                found.push((name, token));
            }
        }
        Ok(found.into_iter().map(|(name, token)| (name.to_owned(), token.into())).collect())
    }

    /// Stores a token of this coordinator. Tokens of other users and coordinators are kept. Safe with concurrent
    /// logins.
    pub(crate) fn store(&self, user: &str, token: &SecretString) -> io::Result<()> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let _lock = self.lock()?;
        self.store_addresses(user, token)?;
        let before = text_of(&self.path)?;
        let mut lines: Vec<String> = entries(&before)
            .filter(|(name, _)| *name != user)
            .map(|(name, token)| format!("{name}:{token}"))
            .collect();
        lines.insert(0, format!("{user}:{}", token.expose_secret()));
        atomic_file::replace(&self.path, lines.join("\n").as_bytes(), 0o600)
    }

    /// Removes the tokens of a user for this coordinator, with those that may be for it. Tokens for other coordinators
    /// are kept.
    pub(crate) fn remove(&self, user: &str) -> io::Result<()> {
        if !self.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let removed = self.candidates(Some(user))?;
        let is_removed = |name: &str, token: &str| {
            name == user && removed.iter().any(|(_, one)| one.expose_secret() == token)
        };
        let before = text_of(&self.path)?;
        let lines: Vec<String> = entries(&before)
            .filter(|(name, token)| !is_removed(name, token))
            .map(|(name, token)| format!("{name}:{token}"))
            .collect();
        atomic_file::replace(&self.path, lines.join("\n").as_bytes(), 0o600)?;
        let path = self.sibling(".addresses");
        let before = text_of(&path)?;
        let lines: Vec<String> = known(&before)
            .filter(|known| !is_removed(known.user, known.token))
            .map(KnownToken::line)
            .collect();
        atomic_file::replace(&path, lines.join("\n").as_bytes(), 0o600)
    }

    /// Records the address before the token is stored, so that no token is without its address.
    fn store_addresses(&self, user: &str, token: &SecretString) -> io::Result<()> {
        let path = self.sibling(".addresses");
        let before = text_of(&path)?;
        let new =
            self.addresses.iter().map(|address| KnownToken { address, user, token: token.expose_secret() });
        let is_replaced = |old: &KnownToken<'_>| {
            old.user == user && self.addresses.iter().any(|address| address == old.address)
        };
        let old = known(&before).filter(|old| !is_replaced(old));
        let lines: Vec<String> = new.chain(old).take(MAX_KNOWN).map(KnownToken::line).collect();
        atomic_file::replace(&path, lines.join("\n").as_bytes(), 0o600)
    }

    /// A lock file beside the file, which is replaced and can't be locked itself.
    fn lock(&self) -> io::Result<Flock<File>> {
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.sibling(".lock"))?;
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    fn sibling(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        self.path.with_file_name(name)
    }
}

/// Reads a file; a missing one is empty.
fn text_of(path: &Path) -> io::Result<String> {
    match read_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> + Clone {
    text.lines().filter_map(|line| line.split_once(':'))
}

fn known(text: &str) -> impl Iterator<Item = KnownToken<'_>> {
    text.lines().filter_map(|line| {
        let (address, rest) = line.split_once('\t')?;
        let (user, token) = rest.split_once('\t')?;
        Some(KnownToken { address, user, token })
    })
}

/// Whether two addresses or lists of addresses have a coordinator in common.
pub(crate) fn is_same_coordinator(one: &str, other: &str) -> bool {
    let all = |text: &str| text.split(',').map(|one| comparable(one.trim())).collect::<Vec<_>>();
    let others = all(other);
    all(one).iter().any(|address| others.contains(address))
}

/// Normalises an address: scheme, host, port and path. All names of this machine are equal.
fn comparable(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if is_here {
        // A host without an address is unchanged.
        let _ = url.set_host(Some("localhost"));
    }
    format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const HERE: &str = "http://here:5000";

    #[test]
    fn stale_temporary_file_does_not_expose_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::new(folder.path().join("credentials"), HERE);
        let left = file.sibling(".new");
        fs::write(&left, "").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        file.store("ann", &"one".into()).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn other_tokens_are_kept_and_the_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::new(folder.path().join("new/credentials"), HERE);
        assert!(file.find(None).unwrap().is_none());
        file.store("ann", &"one:with:colons".into()).unwrap();
        file.store("raj", &"two".into()).unwrap();
        file.store("raj", &"three".into()).unwrap();

        let token =
            |user| file.find(user).unwrap().map(|(name, token)| (name, token.expose_secret().to_owned()));
        assert_eq!(token(Some("ann")), Some(("ann".into(), "one:with:colons".into())));
        assert_eq!(token(None), Some(("raj".into(), "three".into())));
        assert_eq!(token(Some("mei")), None);
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "raj:three\nann:one:with:colons");
    }

    #[test]
    fn concurrent_logins_lose_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::new(folder.path().join("credentials"), HERE);
        std::thread::scope(|scope| {
            for number in 0..20 {
                let file = &file;
                scope.spawn(move || file.store(&format!("user{number}"), &"token".into()).unwrap());
            }
        });
        assert_eq!(entries(&fs::read_to_string(file.path()).unwrap()).count(), 20);
    }

    #[test]
    fn token_is_never_found_for_another_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let at = |address| CredentialsFile::new(folder.path().join("credentials"), address);
        let tokens = |file: CredentialsFile, user| -> Vec<String> {
            let found = file.candidates(user).unwrap().into_iter();
            found.map(|(name, token)| format!("{name}:{}", token.expose_secret())).collect()
        };
        at(HERE).store("ann", &"one".into()).unwrap();
        assert!(tokens(at("http://there:5000"), None).is_empty());
        at("http://there:5000").store("ann", &"two".into()).unwrap();
        at("http://there:5000").store("raj", &"three".into()).unwrap();
        assert_eq!(tokens(at(HERE), None), ["ann:one"]);
        assert_eq!(tokens(at("http://here:5000/"), Some("ann")), ["ann:one"]);
        // One host can have two coordinators at two paths.
        assert!(tokens(at("http://here:5000/path"), Some("ann")).is_empty());
        assert_eq!(tokens(at("http://there:5000"), None), ["raj:three"]);
        assert_eq!(tokens(at("http://there:5000"), Some("ann")), ["ann:two"]);
        assert!(tokens(at(HERE), Some("raj")).is_empty());
        // Any of several coordinators of one database.
        assert_eq!(tokens(at("http://new:1, http://here:5000"), None), ["ann:one"]);
    }

    #[test]
    fn tokens_of_the_legacy_program_are_tried_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::new(folder.path().join("credentials"), HERE);
        fs::write(file.path(), "mei:old\nraj:older").unwrap();
        let tokens = |user| -> Vec<String> {
            let found = file.candidates(user).unwrap().into_iter();
            found.map(|(name, token)| format!("{name}:{}", token.expose_secret())).collect()
        };
        assert_eq!(tokens(None), ["mei:old"]);
        assert_eq!(tokens(Some("raj")), ["raj:older"]);
        file.store("raj", &"one".into()).unwrap();
        // A login of the SDK, which records no address.
        fs::write(file.path(), "raj:two\nmei:old").unwrap();
        assert_eq!(tokens(None), ["raj:one", "raj:two"]);
        let beside = fs::metadata(folder.path().join("credentials.addresses")).unwrap();
        assert_eq!(beside.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn removed_token_is_only_that_of_its_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let at = |address| CredentialsFile::new(folder.path().join("credentials"), address);
        at(HERE).remove("ann").unwrap();
        at(HERE).store("ann", &"one".into()).unwrap();
        at("http://there:5000").store("ann", &"two".into()).unwrap();
        at(HERE).store("raj", &"three".into()).unwrap();
        at(HERE).remove("ann").unwrap();
        assert!(at(HERE).find(Some("ann")).unwrap().is_none());
        assert_eq!(at("http://there:5000").find(Some("ann")).unwrap().unwrap().1.expose_secret(), "two");
        assert_eq!(at(HERE).find(None).unwrap().unwrap().0, "raj");
    }

    #[test]
    fn names_of_the_local_machine_are_equal() {
        let all = ["http://localhost:5000", "http://127.0.0.1:5000/", "http://[::1]:5000"].map(comparable);
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        assert_ne!(comparable("http://localhost:5001"), all[0]);
        assert_ne!(comparable("https://localhost:5000"), all[0]);
    }
}
