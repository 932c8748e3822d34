//! The Ed25519 key pair that signs tokens, in two PEM files in the format of `openssl`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::settings::KeyFiles;

/// The prefix of the 32 bytes of an Ed25519 public key in DER (RFC 8410).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A valid key pair.
pub(crate) struct SigningPair {
    /// PKCS#8 in DER.
    pub(crate) private_der: Vec<u8>,
    /// The 32 bytes of the public key.
    pub(crate) public: Vec<u8>,
}

/// Why the key pair can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file does not exist and may not be created.
    #[error("the key file {0} does not exist")]
    Missing(PathBuf),
    /// A file can't be read or written.
    #[error("the key file {path} can't be {doing}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content of a file is invalid.
    #[error("{path} is not {expected}")]
    Malformed {
        /// The path of the file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
    },
    /// The two keys are not a pair.
    #[error("the keys in {private} and {public} are not a pair")]
    NoPair {
        /// The file of the private key.
        private: PathBuf,
        /// The file of the public key.
        public: PathBuf,
    },
    /// The generation of a key failed.
    #[error("failed to generate a key pair")]
    Generate,
}

impl KeyError {
    /// How to create a key pair manually.
    pub const HINT: &'static str = "check access_token_private_path and access_token_public_path (without them, mito \
         creates a pair at its first start), or create a pair with `openssl genpkey -algorithm ed25519 -out private.pem` and \
         `openssl pkey -in private.pem -pubout -out public.pem`";
}

/// Reads the key pair, and creates it if both files are missing and `create` is set. A missing public key is derived from
/// the private one.
pub(crate) fn load(files: &KeyFiles) -> Result<SigningPair, KeyError> {
    if !files.private.exists() && !files.public.exists() && files.create {
        create(files)?;
    }
    let malformed = || KeyError::Malformed {
        path: files.private.clone(),
        expected: "an Ed25519 private key in PKCS#8 PEM",
    };
    let private_der = from_pem(&read(&files.private)?, "PRIVATE KEY").ok_or_else(malformed)?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private_der).map_err(|_| malformed())?;
    let public = pair.public_key().as_ref().to_vec();
    if files.public.exists() && read_public(&files.public)? != public {
        return Err(KeyError::NoPair { private: files.private.clone(), public: files.public.clone() });
    }
    Ok(SigningPair { private_der, public })
}

fn read_public(path: &Path) -> Result<Vec<u8>, KeyError> {
    from_pem(&read(path)?, "PUBLIC KEY")
        .and_then(|der| der.strip_prefix(&PUBLIC_KEY_PREFIX).map(<[u8]>::to_vec))
        .ok_or_else(|| KeyError::Malformed {
            path: path.to_owned(),
            expected: "an Ed25519 public key in PEM",
        })
}

fn create(files: &KeyFiles) -> Result<(), KeyError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
    let private = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
    let public = [&PUBLIC_KEY_PREFIX, pair.public_key().as_ref()].concat();
    if !publish(&files.private, &to_pem(private.as_ref(), "PRIVATE KEY"))? {
        // Another coordinator has created a pair first; use that one.
        return Ok(());
    }
    publish(&files.public, &to_pem(&public, "PUBLIC KEY"))?;
    tracing::info!(private = %files.private.display(), public = %files.public.display(), "created a key pair");
    Ok(())
}

fn read(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
        _ => KeyError::File { path: path.to_owned(), doing: "read", source },
    })
}

/// Creates a file atomically, readable only by its owner. Returns false if it exists.
fn publish(path: &Path, text: &str) -> Result<bool, KeyError> {
    let publish = || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let draft = path.with_added_extension(format!("{}.draft", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        }
    };
    publish().map_err(|source| KeyError::File { path: path.to_owned(), doing: "written", source })
}

fn to_pem(der: &[u8], label: &str) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn from_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    fn files(folder: &Path, create: bool) -> KeyFiles {
        KeyFiles { private: folder.join("private.pem"), public: folder.join("public.pem"), create }
    }

    fn openssl(folder: &Path, arguments: &str) {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn pair_is_created_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), true);
        let first = load(&files).unwrap();
        assert_eq!(load(&files).unwrap().public, first.public);
        for file in [&files.private, &files.public] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        openssl(folder.path(), "pkey -in private.pem -pubout -out again.pem");
        assert_eq!(read(&folder.path().join("again.pem")).unwrap(), read(&files.public).unwrap());
    }

    #[test]
    fn openssl_pair_is_accepted_and_a_foreign_public_key_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), false);
        openssl(folder.path(), "genpkey -algorithm ed25519 -out private.pem");
        openssl(folder.path(), "pkey -in private.pem -pubout -out public.pem");
        let pair = load(&files).unwrap();
        std::fs::remove_file(&files.public).unwrap();
        assert_eq!(load(&files).unwrap().public, pair.public, "it is derived from the private key");
        openssl(folder.path(), "genpkey -algorithm ed25519 -out other.pem");
        openssl(folder.path(), "pkey -in other.pem -pubout -out public.pem");
        assert!(matches!(load(&files), Err(KeyError::NoPair { .. })));
    }

    #[test]
    fn missing_and_malformed_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), false);
        assert!(matches!(load(&files), Err(KeyError::Missing(path)) if path == files.private));
        std::fs::write(&files.private, "not a key").unwrap();
        assert!(matches!(load(&files), Err(KeyError::Malformed { path, .. }) if path == files.private));
        openssl(folder.path(), "genpkey -algorithm x25519 -out private.pem");
        assert!(matches!(load(&files), Err(KeyError::Malformed { .. })), "the wrong kind of key");
    }
}
