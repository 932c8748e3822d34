//! The secret that signs links: created once, stored beside the objects, readable only by its owner.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mitosis_domain::entropy::Entropy;

use super::layout::Layout;
use super::temporary::Temporary;
use crate::{FileOperation, ObjectError};

/// As long as the output of the hash it keys.
pub(super) type Secret = [u8; 32];

/// Reads the secret, or creates one. Processes that start at the same time agree on one.
pub(super) fn load_or_create(layout: &Layout, entropy: &dyn Entropy) -> Result<Secret, ObjectError> {
    let path = layout.secret();
    if let Some(secret) = load(&path)? {
        return Ok(secret);
    }
    create(&path, layout, entropy)?;
    load(&path)?.ok_or(ObjectError::UntrustedSecret { path, why: "it vanished right after it was made" })
}

fn load(path: &Path) -> Result<Option<Secret>, ObjectError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ObjectError::directory(FileOperation::Open, path)(error)),
    };
    let untrusted = |why| ObjectError::UntrustedSecret { path: path.to_owned(), why };
    let mode = file
        .metadata()
        .map_err(ObjectError::directory(FileOperation::ReadMetadata, path))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(untrusted("other users may open it"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(ObjectError::directory(FileOperation::Read, path))?;
    Secret::try_from(bytes).map(Some).map_err(|_| untrusted("it does not have 32 bytes"))
}

/// Gives the finished file its name by a hard link, which fails if another process was faster.
fn create(path: &Path, layout: &Layout, entropy: &dyn Entropy) -> Result<(), ObjectError> {
    let mut secret = Secret::default();
    entropy.fill(&mut secret);
    let temporary = Temporary::create(&layout.temporary(), entropy.uuid())?;
    let mut file = temporary.handle()?;
    file.write_all(&secret).map_err(ObjectError::directory(FileOperation::Write, temporary.path()))?;
    temporary.sync(File::sync_all)?;
    match fs::hard_link(temporary.path(), path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(ObjectError::directory(FileOperation::Create, path)(error)),
    }
    let root = path.parent().expect("the secret lies in the root");
    File::open(root)
        .and_then(|root| root.sync_all())
        .map_err(ObjectError::directory(FileOperation::Sync, root))
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;

    use super::*;
    use crate::directory::create_folders;

    fn layout() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path().to_owned());
        create_folders(&layout).unwrap();
        (root, layout)
    }

    #[test]
    fn secret_is_created_once_and_private() {
        let (_root, layout) = layout();
        let first = load_or_create(&layout, &OsEntropy).unwrap();
        assert_ne!(first, Secret::default());
        assert_eq!(load_or_create(&layout, &OsEntropy).unwrap(), first);
        let mode = fs::metadata(layout.secret()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(layout.temporary()).unwrap().count(), 0);
    }

    #[test]
    fn readable_secret_is_rejected() {
        let (_root, layout) = layout();
        load_or_create(&layout, &OsEntropy).unwrap();
        fs::set_permissions(layout.secret(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&layout, &OsEntropy).unwrap_err();
        assert!(matches!(error, ObjectError::UntrustedSecret { .. }), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn truncated_secret_is_rejected() {
        let (_root, layout) = layout();
        load_or_create(&layout, &OsEntropy).unwrap();
        File::options().write(true).open(layout.secret()).unwrap().set_len(5).unwrap();
        assert!(load_or_create(&layout, &OsEntropy).is_err());
    }

    #[test]
    fn concurrent_starts_agree_on_one_secret() {
        let (_root, layout) = layout();
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load_or_create(&layout, &OsEntropy).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }
}
