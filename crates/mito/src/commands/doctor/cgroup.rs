//! Checks whether a worker that is started here can use its own cgroup.

use std::fs;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::finding::Finding;

const CHECK: &str = "cgroup";
/// The controllers that a worker needs.
const WANTED: [&str; 3] = ["cpu", "memory", "pids"];
const HINT: &str = "only matters for workers, which check the memory of tasks once a second without it: run them in a systemd unit with `Delegate=yes`, or try \
    `systemd-run --user --scope -p Delegate=yes mito worker`";
const NO_CGROUP_HINT: &str = "only matters for workers: boot with cgroup v2 enabled";

pub(super) fn check() -> Finding {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    judge(&own, Path::new("/sys/fs/cgroup"))
}

/// Without a cgroup, a worker samples the memory of tasks that have a limit, and a killed worker can leave processes behind.
fn judge(own: &str, root: &Path) -> Finding {
    let warn = |text: String| Finding::warn(CHECK, text).hint(HINT);
    if !root.join("cgroup.controllers").exists() {
        return Finding::warn(CHECK, "this system has no cgroup v2 at /sys/fs/cgroup").hint(NO_CGROUP_HINT);
    }
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return warn("this process is not in a cgroup v2".to_owned());
    };
    let folder = root.join(path.trim_start_matches('/'));
    let writable = AccessFlags::W_OK;
    if access(&folder, writable).is_err() || access(&folder.join("cgroup.procs"), writable).is_err() {
        return warn(format!("the cgroup {path} is not delegated to this user"));
    }
    let there = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    let missing: Vec<&str> =
        WANTED.into_iter().filter(|wanted| !there.split_whitespace().any(|name| name == *wanted)).collect();
    match missing.is_empty() {
        true => Finding::ok(CHECK, format!("the cgroup {path} is delegated")),
        false => warn(format!("the cgroup {path} is delegated without {}", missing.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn cgroup_must_be_writable_with_all_controllers() {
        let root = tempfile::tempdir().unwrap();
        let judged = |own: &str| judge(own, root.path());
        assert!(judged("0::/mine").to_string().contains("no cgroup v2 at"));
        fs::write(root.path().join("cgroup.controllers"), "cpu io memory pids").unwrap();
        assert!(judged("3:cpu:/old").to_string().contains("not in a cgroup v2"));
        assert!(judged("0::/mine").to_string().contains("not delegated"));

        let mine = root.path().join("mine");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join("cgroup.procs"), "").unwrap();
        fs::write(mine.join("cgroup.controllers"), "cpu io").unwrap();
        assert!(judged("0::/mine").to_string().contains("without memory, pids"));
        fs::write(mine.join("cgroup.controllers"), "cpu memory pids").unwrap();
        assert_eq!(judged("0::/mine\n").verdict(), Verdict::Ok);
    }
}
