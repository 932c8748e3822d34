//! Identifies the machine and its boot: no process survives a reboot.

use aws_lc_rs::digest::{Context, SHA256};
use mitosis_domain::hex;
use mitosis_protocol::worker::Machine;

/// This machine, or none if the system doesn't identify it.
pub(crate) fn this() -> Option<Machine> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    of(&read("/etc/machine-id"), &read("/proc/sys/kernel/random/boot_id"))
}

/// The host name of this machine, or none if it has none.
pub(crate) fn host() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// The machine id is confidential (machine-id(5)), so a digest of it is sent.
fn of(machine_id: &str, boot_id: &str) -> Option<Machine> {
    let (machine_id, boot_id) = (machine_id.trim(), boot_id.trim());
    // systemd writes this word into an image that has never been booted.
    if machine_id.is_empty() || machine_id == "uninitialized" || boot_id.is_empty() {
        return None;
    }
    let mut digest = Context::new(&SHA256);
    digest.update(b"mitosis");
    digest.update(machine_id.as_bytes());
    let id = hex::lower(digest.finish().as_ref());
    Some(Machine { id, boot: boot_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_named_by_a_digest_and_its_boot_by_the_kernel() {
        let machine = of("b08dfa6083e7567a1921a715000001fb\n", "6a6e\n").unwrap();
        assert_eq!(machine.id, "3838c177d9d8e67798175c706b86aa46bf2cdd71652fc7ca22938f46ea609bda");
        assert_eq!(machine.boot, "6a6e");
    }

    #[test]
    fn machine_without_an_id_or_a_boot_is_not_named() {
        for (id, boot) in [("", "b"), ("\n", "b"), ("uninitialized\n", "b"), ("a", "")] {
            assert_eq!(of(id, boot), None, "{id:?} {boot:?}");
        }
    }
}
