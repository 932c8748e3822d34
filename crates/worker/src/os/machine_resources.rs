//! What the machine has: processors, memory and GPUs that this process may use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mitosis_domain::resources::GpuVendor;
use mitosis_protocol::Cpus;

/// Where to look; tests use directories of their own.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// What was found. What can't be found out is zero or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineResources {
    /// Processors of the affinity mask, or of the quota of the control group.
    pub cpus: Cpus,
    /// Bytes of memory of the control group, or of the machine.
    pub memory: u64,
    /// The indices of the GPUs.
    pub gpus: Vec<String>,
    /// The model, if all GPUs have the same.
    pub gpu_model: Option<String>,
    /// The maker of the GPUs.
    pub gpu_vendor: GpuVendor,
}

impl MachineResources {
    /// Looks for everything. `visible` is the list of GPUs to which this process itself is restricted.
    pub fn detect(roots: &Roots, visible: Option<&str>) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (nvidia, amd) = (nvidia(&roots.proc), amd(&roots.sys));
        let gpu_vendor =
            if nvidia.is_empty() && !amd.is_empty() { GpuVendor::Amd } else { GpuVendor::Nvidia };
        let models = if gpu_vendor == GpuVendor::Amd { amd } else { nvidia };
        let different: BTreeSet<&String> = models.iter().collect();
        let gpu_model = match different.len() {
            1 => models.first().cloned().filter(|model| !model.is_empty()),
            _ => None,
        };
        let mut gpus: Vec<String> = (0..models.len()).map(|index| index.to_string()).collect();
        if let (Some(visible), false) = (visible, gpus.is_empty()) {
            gpus =
                visible.split(',').map(|gpu| gpu.trim().to_owned()).filter(|gpu| !gpu.is_empty()).collect();
        }
        Self { cpus: Cpus::whole(cpus), memory: memory(roots), gpus, gpu_model, gpu_vendor }
    }
}

/// The smallest limit of the control group and its parents, at most what the machine has.
fn memory(roots: &Roots) -> u64 {
    let info = read(&roots.proc.join("meminfo"));
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let of_machine = total.map(|kilobytes| kilobytes.saturating_mul(1_024));
    let groups = read(&roots.proc.join("self/cgroup"));
    let root = roots.sys.join("fs/cgroup");
    let of_group = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => smallest(&root, path, "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                smallest(&root.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    of_group.chain(of_machine).min().unwrap_or(0)
}

/// The smallest number in the files of that name from a control group up to the root.
fn smallest(root: &Path, path: &str, name: &str) -> Option<u64> {
    let group = root.join(path.trim_start_matches('/'));
    let folders = group.ancestors().take_while(|folder| folder.starts_with(root));
    folders.filter_map(|folder| read(&folder.join(name)).trim().parse().ok()).min()
}

/// The models of the NVIDIA GPUs, in the order of the bus.
fn nvidia(proc: &Path) -> Vec<String> {
    let mut gpus = entries(&proc.join("driver/nvidia/gpus"));
    gpus.sort();
    let model = |gpu: &PathBuf| {
        let information = read(&gpu.join("information"));
        let line = information.lines().find_map(|line| line.strip_prefix("Model:"));
        line.unwrap_or_default().trim().to_owned()
    };
    gpus.iter().map(model).collect()
}

/// The models of the AMD GPUs, in the order of the driver.
fn amd(sys: &Path) -> Vec<String> {
    let mut nodes: Vec<(u32, PathBuf)> = entries(&sys.join("class/kfd/kfd/topology/nodes"))
        .into_iter()
        .filter_map(|node| Some((node.file_name()?.to_str()?.parse().ok()?, node)))
        .collect();
    nodes.sort();
    // A node without SIMD units is a processor.
    let is_gpu = |node: &Path| {
        let properties = read(&node.join("properties"));
        let units = properties.lines().find_map(|line| line.strip_prefix("simd_count "));
        units.is_some_and(|units| units.trim() != "0")
    };
    let gpus = nodes.iter().filter(|(_, node)| is_gpu(node));
    gpus.map(|(_, node)| read(&node.join("name")).trim().to_owned()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

/// The text of a file; empty if it can't be read, as most of them don't exist on most machines.
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let roots = Roots { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
        (folder, roots)
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       16384 kB\nMemFree:  1 kB\n");

    #[test]
    fn memory_is_the_smallest_limit() {
        let (_folder, roots) = machine(&[MEMINFO]);
        assert_eq!(memory(&roots), 16 << 20);
        let (_folder, roots) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a.slice/b.scope\n"),
            ("sys/fs/cgroup/a.slice/memory.max", "8388608\n"),
            ("sys/fs/cgroup/a.slice/b.scope/memory.max", "max\n"),
        ]);
        assert_eq!(memory(&roots), 8 << 20);
        let (_folder, roots) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4194304\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(memory(&roots), 4 << 20);
        let (_folder, roots) = machine(&[]);
        assert_eq!(memory(&roots), 0);
    }

    #[test]
    fn gpus_of_the_drivers_are_found() {
        let nvidia = [
            ("proc/driver/nvidia/gpus/0000:81:00.0/information", "Model: \t NVIDIA A100\nIRQ: 5\n"),
            ("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t NVIDIA A100\n"),
        ];
        let (_folder, roots) = machine(&nvidia);
        let found = MachineResources::detect(&roots, None);
        assert_eq!(
            (found.gpus, found.gpu_model.as_deref()),
            (vec!["0".into(), "1".into()], Some("NVIDIA A100"))
        );
        let restricted = MachineResources::detect(&roots, Some("1,GPU-7"));
        assert_eq!(restricted.gpus, ["1", "GPU-7"]);
        let amd = [
            ("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 8\nsimd_count 0\n"),
            ("sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 304\n"),
            ("sys/class/kfd/kfd/topology/nodes/1/name", "gfx942\n"),
            ("sys/class/kfd/kfd/topology/nodes/2/properties", "simd_count 304\n"),
            ("sys/class/kfd/kfd/topology/nodes/2/name", "gfx90a\n"),
        ];
        let (_folder, roots) = machine(&amd);
        let found = MachineResources::detect(&roots, None);
        assert_eq!((found.gpus.len(), found.gpu_vendor, found.gpu_model), (2, GpuVendor::Amd, None));
        let (_folder, roots) = machine(&[MEMINFO]);
        let found = MachineResources::detect(&roots, Some("0"));
        assert!(found.gpus.is_empty() && found.cpus >= Cpus::ONE);
    }
}
