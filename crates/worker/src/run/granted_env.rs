//! What a task may use, in its environment.

use std::ffi::OsString;

use mitosis_domain::resources::GpuVendor;
use mitosis_protocol::Granted;

/// Variables that the worker sets unless it has them itself. Those of the task override them.
pub(super) fn defaults(
    granted: &Granted,
    inherited: &[(OsString, OsString)],
) -> impl Iterator<Item = (&'static str, String)> {
    let threads = granted.cpus.map(|cpus| ("OMP_NUM_THREADS", cpus.threads().to_string()));
    // The indices count in the order of the bus.
    let order = granted.gpus.is_some().then(|| ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()));
    let is_set = |name: &str| inherited.iter().any(|(known, _)| known == name);
    threads.into_iter().chain(order).filter(move |(name, _)| !is_set(name))
}

/// Variables that say what the task holds. They override those of the task, which can't know its GPUs.
pub(super) fn variables(granted: &Granted, vendor: GpuVendor) -> impl Iterator<Item = (String, String)> {
    let cpus = granted.cpus.map(|cpus| ("MITO_CPUS".to_owned(), cpus.to_string()));
    let memory = granted.memory.map(|bytes| ("MITO_MEMORY_BYTES".to_owned(), bytes.to_string()));
    let gpus = granted.gpus.as_ref().map(|gpus| (vendor.variable().to_owned(), gpus.join(",")));
    let named = granted.named.iter().map(|(name, units)| (variable(name), units.to_string()));
    cpus.into_iter().chain(memory).chain(gpus).chain(named)
}

/// The variable of a named resource.
fn variable(name: &str) -> String {
    format!("MITO_RESOURCE_{}", name.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mitosis_protocol::Cpus;
    use mitosis_protocol::resources::GrantedResource;

    use super::*;

    #[test]
    fn what_a_task_holds_is_in_its_environment() {
        let granted = Granted {
            cpus: Some("2.5".parse().unwrap()),
            memory: Some(1 << 30),
            gpus: Some(vec!["0".to_owned(), "3".to_owned()]),
            named: BTreeMap::from([
                ("fast-disk".to_owned(), GrantedResource::Indices(vec!["sda".to_owned()])),
                ("lic".to_owned(), GrantedResource::Units(2)),
            ]),
        };
        let of = |vendor| {
            variables(&granted, vendor).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let expected = [
            "MITO_CPUS=2.5",
            "MITO_MEMORY_BYTES=1073741824",
            "CUDA_VISIBLE_DEVICES=0,3",
            "MITO_RESOURCE_FAST_DISK=sda",
            "MITO_RESOURCE_LIC=2",
        ];
        assert_eq!(of(GpuVendor::Nvidia), expected);
        assert_eq!(of(GpuVendor::Amd)[2], "ROCR_VISIBLE_DEVICES=0,3");
        let none = Granted { gpus: Some(vec![]), ..Granted::default() };
        let hidden: Vec<_> = variables(&none, GpuVendor::Nvidia).collect();
        assert_eq!(hidden, [("CUDA_VISIBLE_DEVICES".to_owned(), String::new())]);
        assert_eq!(variables(&Granted::default(), GpuVendor::Nvidia).count(), 0);
    }

    #[test]
    fn threads_are_set_unless_the_worker_sets_them() {
        let granted = Granted { cpus: Some(Cpus::whole(4)), ..Granted::default() };
        let set = |inherited: &[(OsString, OsString)]| defaults(&granted, inherited).collect::<Vec<_>>();
        assert_eq!(set(&[]), [("OMP_NUM_THREADS", "4".to_owned())]);
        assert!(set(&[("OMP_NUM_THREADS".into(), "9".into())]).is_empty());
    }
}
