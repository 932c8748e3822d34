//! Opens a link in the browser of the desktop.
//!
//! Other users can see the arguments of programs, and the link logs in. So the browser gets a private file that leads there.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::Environment;

/// Opens a link. Does nothing without a desktop.
pub(super) fn open(link: &str, environment: &Environment) -> io::Result<()> {
    let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| environment.text(name).is_some());
    if !has_desktop {
        return Ok(());
    }
    let file = write(link, &environment.cache_folder())?;
    let quiet = Stdio::null;
    let status =
        Command::new("xdg-open").arg(file).stdin(quiet()).stdout(quiet()).stderr(quiet()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other("xdg-open failed")),
    }
}

/// Writes a document that leads to the link. The next one replaces it.
fn write(link: &str, folder: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join("open.html");
    let unfinished = folder.join("open.html.new");
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let link = link.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    writeln!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={link}\">")?;
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn file_is_private_and_leads_to_the_link() {
        let folder = tempfile::tempdir().unwrap();
        write("http://127.0.0.1:5000/#login=old&to=/", folder.path()).unwrap();
        let path = write("http://127.0.0.1:5000/#login=new&to=/\"", folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains("url=http://127.0.0.1:5000/#login=new&amp;to=/&quot;\""), "{text}");
    }
}
