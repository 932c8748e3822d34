//! `mito manager systemd uninstall`: removes the files of `install`.

use std::fs;
use std::io;
use std::path::Path;

use super::Files;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

pub(super) fn run(files: &Files) -> Result<(), Failure> {
    let failed = |error| Failure::io("cannot list the units", error);
    if !files.unit.exists() && !files.environment.exists() {
        return Err(Failure::new(Exit::Failure, format!("no unit `{}` is installed", files.name)));
    }
    // Instances are disabled first: without the unit, that would have to be done by hand.
    let enabled = enabled(files).map_err(failed)?;
    if !enabled.is_empty() {
        let names = enabled.join(" ");
        return Err(Failure::new(Exit::Failure, format!("still enabled: {names}"))
            .with_hint(format!("run `systemctl --user disable --now {names}` first")));
    }
    for path in [&files.unit, &files.environment] {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(format!("cannot remove {}", path.display()), error)),
            Ok(()) => show::line(format_args!("removed {}", path.display()))?,
        }
    }
    note!("To make systemd reload its units: systemctl --user daemon-reload");
    Ok(())
}

fn enabled(files: &Files) -> io::Result<Vec<String>> {
    let links = files.unit.parent().unwrap_or(Path::new(".")).join("default.target.wants");
    let entries = match fs::read_dir(links) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let (own, start) = (files.name.as_str(), format!("{}@", files.name));
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let instance = name.strip_suffix(".service").filter(|name| *name == own || name.starts_with(&start));
        names.extend(instance.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
