//! Checks that other users can neither read the secrets of a configuration file nor change it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::finding::Finding;
use crate::config::{self, Environment, has_secrets};

const CHECK: &str = "config";
/// The sticky bit: in such a directory, such as `/tmp`, only the owner of a file may replace it.
const STICKY: u32 = 0o1000;

pub(super) fn check(given: Option<&Path>, environment: &Environment) -> Finding {
    match config::files(given, environment) {
        Ok(files) if files.is_empty() => {
            Finding::ok(CHECK, "no configuration file; defaults, environment variables and options apply")
        }
        Ok(files) => judge(&files),
        Err(error) => Finding::warn(CHECK, error.to_string()),
    }
}

fn judge(files: &[impl AsRef<Path>]) -> Finding {
    let mut wrong = Vec::new();
    let mut remedies = Vec::new();
    for file in files {
        let file = file.as_ref();
        let (shown, mode) = (file.display(), mode(file));
        if mode & 0o022 != 0 {
            wrong.push(format!("others can change {shown} (mode {:o})", mode & 0o777));
            remedies.push(format!("`chmod 600 {shown}`"));
        } else if mode & 0o044 != 0 && has_secrets(file).unwrap_or(true) {
            wrong.push(format!("others can read the secrets in {shown} (mode {:o})", mode & 0o777));
            remedies
                .push(format!("`chmod 600 {shown}`, and replace the secrets if others may have read them"));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let of_folder = self::mode(folder);
        if of_folder & 0o022 != 0 && of_folder & STICKY == 0 {
            let folder = folder.display();
            wrong.push(format!("others can replace {shown}: its folder has mode {:o}", of_folder & 0o777));
            remedies.push(format!("`chmod go-w {folder}`"));
        }
    }
    match wrong.is_empty() {
        true => {
            let all: Vec<String> = files.iter().map(|file| file.as_ref().display().to_string()).collect();
            Finding::ok(CHECK, format!("{}: others cannot change it or read its secrets", all.join(", ")))
        }
        false => Finding::warn(CHECK, wrong.join("; ")).hint(remedies.join("; ")),
    }
}

/// The mode of a file; 0 if it cannot be read.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |found| found.permissions().mode())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn verdict(text: &str, mode: u32, folder_mode: u32) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("conf");
        fs::create_dir(&place).unwrap();
        let file = place.join("config.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(folder_mode)).unwrap();
        judge(&[file]).verdict()
    }

    #[test]
    fn secrets_readable_by_others_are_a_warning() {
        for secret in [
            "[client]\npassword = 'x'",
            "[worker]\ntoken = 'x'",
            "[coordinator]\ndb_url = 'postgres://u:pw@h/d'",
            "[global]\ns3_secret_key = 'x'",
            "not toml",
        ] {
            assert_eq!(verdict(secret, 0o644, 0o700), Verdict::Warn, "{secret}");
            assert_eq!(verdict(secret, 0o640, 0o700), Verdict::Warn, "{secret}");
            assert_eq!(verdict(secret, 0o600, 0o755), Verdict::Ok, "{secret}");
        }
        assert_eq!(verdict("[client]\nuser = 'ann'", 0o644, 0o755), Verdict::Ok);
    }

    #[test]
    fn writable_by_others_is_a_warning() {
        let plain = "[client]\nuser = 'ann'";
        assert_eq!(verdict(plain, 0o666, 0o755), Verdict::Warn);
        assert_eq!(verdict(plain, 0o644, 0o777), Verdict::Warn);
        assert_eq!(verdict(plain, 0o644, 0o1777), Verdict::Ok, "as /tmp is");
    }
}
