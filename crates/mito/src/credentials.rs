//! The file of tokens (command line §7): one `user:token` per line, readable by its owner only, shared
//! with workers and the Python SDK.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use secrecy::{ExposeSecret as _, SecretString};

/// A file of tokens; it need not exist.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsFile(PathBuf);

impl CredentialsFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// The token of a user, or of the first one there is.
    pub(crate) fn find(&self, user: Option<&str>) -> io::Result<Option<(String, SecretString)>> {
        let text = match fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let found = entries(&text).find(|(name, _)| user.is_none_or(|user| user == *name));
        Ok(found.map(|(name, token)| (name.to_owned(), token.into())))
    }

    /// Keeps a token; those of other users stay. Safe among concurrent logins.
    pub(crate) fn keep(&self, user: &str, token: &SecretString) -> io::Result<()> {
        let folder =
            self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let _turn = self.wait_for_the_turn()?;
        let before = match fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut lines: Vec<String> = entries(&before)
            .filter(|(name, _)| *name != user)
            .map(|(name, token)| format!("{name}:{token}"))
            .collect();
        lines.insert(0, format!("{user}:{}", token.expose_secret()));
        self.replace(&lines.join("\n"))
    }

    /// A lock beside the file: the file itself is replaced, so it can't carry one.
    fn wait_for_the_turn(&self) -> io::Result<Flock<File>> {
        let lock = private().create(true).truncate(false).open(self.beside(".lock"))?;
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    /// All or nothing: whoever reads meanwhile sees the old file or the new one.
    fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = private().create(true).truncate(true).open(&new)?;
        // One that was left behind may be open to others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.0)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        self.0.with_file_name(name)
    }
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_left_behind_open_to_others_does_not_make_the_tokens_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::at(folder.path().join("credentials"));
        let left = file.beside(".new");
        fs::write(&left, "").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        file.keep("ann", &"one".into()).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn tokens_of_other_users_stay_and_nobody_else_can_read_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::at(folder.path().join("new/credentials"));
        assert!(file.find(None).unwrap().is_none());
        file.keep("ann", &"one:with:colons".into()).unwrap();
        file.keep("raj", &"two".into()).unwrap();
        file.keep("raj", &"three".into()).unwrap();

        let token =
            |user| file.find(user).unwrap().map(|(name, token)| (name, token.expose_secret().to_owned()));
        assert_eq!(token(Some("ann")), Some(("ann".into(), "one:with:colons".into())));
        assert_eq!(token(None), Some(("raj".into(), "three".into())));
        assert_eq!(token(Some("mei")), None);
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "raj:three\nann:one:with:colons");
    }

    #[test]
    fn concurrent_logins_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::at(folder.path().join("credentials"));
        std::thread::scope(|scope| {
            for number in 0..20 {
                let file = &file;
                scope.spawn(move || file.keep(&format!("user{number}"), &"token".into()).unwrap());
            }
        });
        assert_eq!(entries(&fs::read_to_string(file.path()).unwrap()).count(), 20);
    }
}
