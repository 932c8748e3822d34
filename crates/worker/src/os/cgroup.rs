//! Control groups (version 2): the kernel limits, measures and ends all processes of an attempt.
//!
//! A worker can use them below its own group, if that group was delegated to it. All paths are below a root, so that
//! tests can use a directory of plain files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;

use super::processes::Mark;

/// The group of the worker and its helpers: a group with controllers has no processes of its own.
const LEAF: &str = "mito";
/// The beginning of the names of the groups of attempts.
const ATTEMPT: &str = "attempt-";
/// Processes of an attempt, which protects the machine from a command that starts processes without end.
const MAX_PROCESSES: u64 = 16_384;
/// How often processes are moved, while others are started.
const MOVES: usize = 10;
/// The controllers without which groups are not used, and those that are used if they are there.
const NEEDED: [&str; 2] = ["memory", "pids"];
const USEFUL: [&str; 1] = ["cpu"];

/// Why no control groups are used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The machine has none, or only those of version 1.
    #[error("this machine has no control groups of version 2")]
    Version,
    /// A controller is not delegated to the worker.
    #[error("the controller `{0}` is not delegated to the worker")]
    Controller(&'static str),
    /// The group belongs to others, too.
    #[error("other programs are in the control group of the worker")]
    Shared,
    /// The group can't be changed.
    #[error("the control group of the worker can't be changed: {0}")]
    Denied(#[from] io::Error),
}

/// The group that was delegated to this worker.
#[derive(Debug, Clone)]
pub(crate) struct Delegated {
    root: PathBuf,
}

/// The group of one attempt.
#[derive(Debug)]
pub(crate) struct AttemptGroup {
    folder: PathBuf,
}

/// What the kernel has measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) cpu: Option<Duration>,
    pub(crate) peak_memory: Option<u64>,
    /// Whether the kernel killed the attempt because of its memory limit.
    pub(crate) is_out_of_memory: bool,
}

impl Delegated {
    /// The group of this process, prepared for groups of attempts.
    pub(crate) fn of_this_process() -> Result<Self, Unavailable> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let root =
            root(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")).ok_or(Unavailable::Version)?;
        let own = std::fs::read_link("/proc/self/exe").ok();
        let is_ours = |pid: Pid| match std::fs::read_link(format!("/proc/{pid}/exe")) {
            Ok(program) => Some(program) == own,
            // Other workers and guards hide it, but not their name.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                read(&format!("/proc/{pid}/comm")) == read("/proc/self/comm")
            }
            // It has ended.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        Self::prepare(root, &is_ours)
    }

    /// Checks and prepares a group. `is_ours` says whether a process belongs to this program.
    fn prepare(root: PathBuf, is_ours: &dyn Fn(Pid) -> bool) -> Result<Self, Unavailable> {
        // Another worker of the same unit may have prepared it, and this one may have been started in its leaf.
        let root = match root.file_name() {
            Some(name) if name == LEAF => root.parent().map(Path::to_owned).unwrap_or_default(),
            _ => root,
        };
        let offered = std::fs::read_to_string(root.join("cgroup.controllers"))?;
        let has = |name: &str| offered.split_whitespace().any(|controller| controller == name);
        if let Some(missing) = NEEDED.into_iter().find(|name| !has(name)) {
            return Err(Unavailable::Controller(missing));
        }
        if !processes(&root)?.into_iter().all(is_ours) {
            return Err(Unavailable::Shared);
        }
        make_group(&root.join(LEAF))?;
        for _ in 0..MOVES {
            let left = processes(&root)?;
            if left.is_empty() {
                break;
            }
            for pid in left {
                move_to(&root.join(LEAF), pid)?;
            }
        }
        let wanted: Vec<String> = NEEDED
            .into_iter()
            .chain(USEFUL.into_iter().filter(|name| has(name)))
            .map(|name| format!("+{name}"))
            .collect();
        write(&root.join("cgroup.subtree_control"), &wanted.join(" "))?;
        Ok(Self { root })
    }

    /// The path of the group, for the guard.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the group of an attempt.
    pub(crate) fn create(&self, mark: Mark, memory: Option<u64>) -> io::Result<AttemptGroup> {
        let group = AttemptGroup { folder: self.root.join(format!("{ATTEMPT}{mark}")) };
        make_group(&group.folder)?;
        group.limit(memory).inspect_err(|_| group.remove())?;
        Ok(group)
    }
}

impl AttemptGroup {
    fn limit(&self, memory: Option<u64>) -> io::Result<()> {
        write(&self.folder.join("pids.max"), &MAX_PROCESSES.to_string())?;
        if let Some(memory) = memory {
            // All processes are killed together, because the rest is seldom useful.
            write(&self.folder.join("memory.oom.group"), "1")?;
            write(&self.folder.join("memory.max"), &memory.to_string())?;
            // Kernels without swap accounting don't have it.
            match write(&self.folder.join("memory.swap.max"), "0") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Moves a command that was just started into the group, with the children that it may have by now.
    pub(crate) fn add(&self, command: Pid) -> io::Result<()> {
        match move_to(&self.folder, command) {
            // It has ended already.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) => Ok(()),
            moved => moved,
        }?;
        let path = format!("/proc/{command}/task/{command}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            // It may have ended.
            move_to(&self.folder, Pid::from_raw(child)).ok();
        }
        Ok(())
    }

    /// The processes of the group.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        processes(&self.folder).unwrap_or_default()
    }

    /// Kills all processes of the group at once.
    pub(crate) fn kill(&self) {
        kill(&self.folder);
    }

    /// What the kernel has measured so far.
    pub(crate) fn measured(&self) -> Measured {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let field = |text: &str, name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        Measured {
            cpu: field(&read("cpu.stat"), "usage_usec ").map(Duration::from_micros),
            peak_memory: read("memory.peak").trim().parse().ok(),
            is_out_of_memory: field(&read("memory.events"), "oom_kill ").is_some_and(|kills| kills > 0),
        }
    }

    /// Removes the group, which must be empty.
    pub(crate) fn remove(&self) {
        if let Err(error) = std::fs::remove_dir(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, group = %self.folder.display(), "failed to remove a control group");
        }
    }
}

impl fmt::Display for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

/// Kills the processes of all attempts below a group, and removes their groups: their worker has died.
pub(super) fn kill_attempts(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(ATTEMPT)) {
        kill(&entry.path());
        // A group with processes can't be removed; the next worker tries again.
        std::fs::remove_dir(entry.path()).ok();
    }
}

fn kill(folder: &Path) {
    if let Err(error) = write(&folder.join("cgroup.kill"), "1") {
        tracing::debug!(%error, group = %folder.display(), "failed to kill a control group");
    }
}

/// Finds the group of a process: the mount point of version 2, and the path below it.
fn root(mounts: &str, membership: &str) -> Option<PathBuf> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    })?;
    Some(Path::new(mount).join(path.trim_start_matches('/')))
}

fn make_group(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn processes(folder: &Path) -> io::Result<Vec<Pid>> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect())
}

fn move_to(folder: &Path, pid: Pid) -> io::Result<()> {
    write(&folder.join("cgroup.procs"), &pid.to_string())
}

/// Writes to a control file, which always exists.
fn write(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;

    std::fs::File::options().write(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of plain files in the place of the kernel's.
    fn fake(controllers: &str, members: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in
            [("cgroup.controllers", controllers), ("cgroup.procs", members), ("cgroup.subtree_control", "")]
        {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        std::fs::create_dir(root.path().join(LEAF)).unwrap();
        std::fs::write(root.path().join(LEAF).join("cgroup.procs"), "").unwrap();
        root
    }

    fn read(root: &Path, file: &str) -> String {
        std::fs::read_to_string(root.join(file)).unwrap()
    }

    #[test]
    fn group_of_a_process_is_found() {
        let mounts = "30 1 0:26 / /sys rw - sysfs sysfs rw\n\
                      31 30 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let found = root(mounts, "1:cpu:/x\n0::/user.slice/mito.service\n");
        assert_eq!(found.unwrap(), Path::new("/sys/fs/cgroup/user.slice/mito.service"));
        assert_eq!(root(mounts, "0::/\n").unwrap(), Path::new("/sys/fs/cgroup/"));
        assert_eq!(root("", "0::/\n"), None);
        assert_eq!(root(mounts, "4:memory:/\n"), None);
    }

    #[test]
    fn group_without_controllers_or_with_others_is_not_used() {
        let refused = |controllers, is_ours: bool| {
            let root = fake(controllers, "70\n");
            Delegated::prepare(root.path().to_owned(), &|_| is_ours).unwrap_err().to_string()
        };
        assert!(refused("cpu pids", true).contains("`memory`"));
        assert!(refused("memory", true).contains("`pids`"));
        assert!(refused("memory pids", false).contains("other programs"));
    }

    #[test]
    fn worker_moves_to_a_leaf_and_enables_the_controllers() {
        let root = fake("cpu io memory pids", "70\n");
        let delegated = Delegated::prepare(root.path().to_owned(), &|pid| pid == Pid::from_raw(70)).unwrap();
        assert_eq!(read(root.path(), "mito/cgroup.procs").lines().next().unwrap(), "70");
        assert_eq!(read(root.path(), "cgroup.subtree_control"), "+memory +pids +cpu");
        assert_eq!(delegated.root(), root.path());
        let again = Delegated::prepare(root.path().join(LEAF), &|_| true).unwrap();
        assert_eq!(again.root(), root.path(), "it was started in the leaf");
    }

    #[test]
    fn attempt_is_limited_measured_and_killed() {
        let root = fake("memory pids", "");
        let delegated = Delegated { root: root.path().to_owned() };
        let folder = format!("{ATTEMPT}{}", Mark(7));
        std::fs::create_dir(root.path().join(&folder)).unwrap();
        let file = |name: &str| root.path().join(&folder).join(name);
        for name in ["pids.max", "memory.max", "memory.oom.group", "cgroup.procs", "cgroup.kill"] {
            std::fs::write(file(name), "").unwrap();
        }
        let group = delegated.create(Mark(7), Some(1 << 30)).unwrap();
        assert_eq!(std::fs::read_to_string(file("memory.max")).unwrap(), "1073741824");
        assert_eq!(std::fs::read_to_string(file("memory.oom.group")).unwrap(), "1");
        assert_eq!(std::fs::read_to_string(file("pids.max")).unwrap(), MAX_PROCESSES.to_string());
        group.add(Pid::from_raw(i32::MAX)).unwrap();
        assert_eq!(group.processes(), [Pid::from_raw(i32::MAX)]);
        assert_eq!(group.measured(), Measured::default());
        std::fs::write(file("cpu.stat"), "usage_usec 1500\nuser_usec 1000\n").unwrap();
        std::fs::write(file("memory.peak"), "4096\n").unwrap();
        std::fs::write(file("memory.events"), "oom 2\noom_kill 1\noom_group_kill 1\n").unwrap();
        let measured = group.measured();
        assert_eq!(measured.cpu, Some(Duration::from_micros(1_500)));
        assert_eq!((measured.peak_memory, measured.is_out_of_memory), (Some(4_096), true));
        kill_attempts(root.path());
        assert_eq!(std::fs::read_to_string(file("cgroup.kill")).unwrap(), "1");
    }
}
