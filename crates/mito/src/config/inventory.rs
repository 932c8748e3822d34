//! What a worker offers to its tasks.

use std::collections::BTreeMap;

use mitosis_domain::limits::MAX_SLOTS;
use mitosis_domain::resources::{Inventory, Units, parse_gpus, parse_indices, parse_units};
use mitosis_protocol::Cpus;
use mitosis_worker::{MachineResources, Roots};

use super::{ConfigError, Layers, Size, Slots, keys};
use crate::config::environment::Environment;

/// Tasks at once for each processor, for tasks that request a fraction of one.
const TASKS_PER_CPU: usize = 4;

/// The variables by which a worker may itself be restricted to certain GPUs.
const VISIBLE: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"];

/// What this machine has.
pub(crate) fn detect(environment: &Environment) -> MachineResources {
    let visible = VISIBLE.iter().find_map(|name| environment.text(name));
    MachineResources::detect(&Roots::default(), visible)
}

/// A worker that runs a number of tasks of the default size on this machine; with one, each gets the whole machine.
pub(crate) fn of_slots(slots: usize, machine: MachineResources) -> Inventory {
    let MachineResources { cpus, memory, gpus, gpu_model, gpu_vendor } = machine;
    let all = Inventory {
        cpus: if slots > 1 { Cpus::whole(slots) } else { cpus },
        memory,
        gpus,
        gpu_model,
        gpu_vendor,
        hides_gpus: false,
        named: BTreeMap::new(),
        tasks: 1,
    };
    Inventory { tasks: if slots > 1 { tasks(all.cpus) } else { 1 }, ..all }
}

fn tasks(cpus: Cpus) -> u32 {
    let cpus = cpus.thousandths().div_ceil(1_000).max(1) as usize;
    u32::try_from((cpus * TASKS_PER_CPU).max(2)).unwrap_or(u32::MAX).min(MAX_SLOTS)
}

/// The offer of `mito worker`: what its options and keys name, and otherwise what the machine has.
pub(super) fn of_worker(layers: &Layers, machine: MachineResources) -> Result<Inventory, ConfigError> {
    let slots = match layers.get_or_default(keys::SLOTS) {
        Slots::Count(0) => return Err(layers.invalid(keys::SLOTS, "must be at least 1")),
        Slots::Count(slots) => match u32::try_from(slots) {
            Ok(slots) if slots <= MAX_SLOTS => slots as usize,
            _ => return Err(layers.invalid(keys::SLOTS, "too large")),
        },
        Slots::Auto => (machine.cpus.thousandths() / 1_000).max(1) as usize,
    };
    let cpus = layers.get(keys::CPUS).map(|text| {
        let invalid = |why: String| layers.invalid(keys::CPUS, why);
        match text.parse::<Cpus>() {
            Ok(cpus) if cpus > Cpus::from_thousandths(0) => Ok(cpus),
            Ok(_) => Err(invalid("must be more than 0".to_owned())),
            Err(error) => Err(invalid(error.to_string())),
        }
    });
    let cpus = cpus.transpose()?;
    // Slots are a number of CPUs, too. A task may have the variable MITO_CPUS, and start a worker with slots.
    let cpus = cpus.filter(|_| slots <= 1);
    let (memory, gpus) = (layers.get(keys::MEMORY), layers.get(keys::GPUS));
    let named = layers.get(keys::RESOURCE).unwrap_or_default();
    let all = machine.cpus;
    let mut inventory = of_slots(slots, machine);
    if cpus.is_some() || memory.is_some() || gpus.is_some() || !named.is_empty() {
        if slots <= 1 {
            inventory.cpus = cpus.unwrap_or(all);
        }
        inventory.tasks = tasks(inventory.cpus);
    }
    if let Some(Size(bytes)) = memory {
        inventory.memory = bytes;
    }
    if let Some(text) = gpus {
        set_gpus(&mut inventory, &text).map_err(|why| layers.invalid(keys::GPUS, why))?;
    }
    for text in named {
        let (name, units) =
            parse_units(&text).map_err(|error| layers.invalid(keys::RESOURCE, error.to_string()))?;
        if inventory.named.insert(name.clone(), units).is_some() {
            return Err(layers.invalid(keys::RESOURCE, format!("`{name}` is given twice")));
        }
    }
    inventory.tasks = with_units(&inventory);
    Ok(inventory)
}

/// More tasks than processors can be useful if others limit them: tasks that request no processor.
fn with_units(inventory: &Inventory) -> u32 {
    match inventory.tasks {
        1 => 1,
        tasks => {
            let units = inventory.named.values().map(Units::count).chain([inventory.gpus.len() as u64]);
            let most = units.max().unwrap_or(0).min(u64::from(MAX_SLOTS));
            tasks.max(u32::try_from(most).unwrap_or(MAX_SLOTS))
        }
    }
}

/// The GPUs by number, the first ones of the machine, or by their indices.
fn set_gpus(inventory: &mut Inventory, text: &str) -> Result<(), String> {
    inventory.hides_gpus = true;
    if let Some(indices) = parse_indices(text) {
        inventory.gpus = indices;
        return Ok(());
    }
    let (number, model) = parse_gpus(text).map_err(|error| error.to_string())?;
    let number = number as usize;
    let detected = inventory.gpus.len();
    inventory.gpus.truncate(number);
    inventory.gpus.extend((detected..number).map(|index| index.to_string()));
    inventory.gpu_model = model.or(inventory.gpu_model.take());
    Ok(())
}

#[cfg(test)]
mod tests {
    use mitosis_domain::resources::GpuVendor;

    use super::*;

    fn machine() -> MachineResources {
        MachineResources {
            cpus: Cpus::whole(16),
            memory: 64 << 30,
            gpus: vec!["0".into(), "1".into()],
            gpu_model: Some("A100".into()),
            gpu_vendor: GpuVendor::Nvidia,
        }
    }

    #[test]
    fn one_slot_has_the_whole_machine() {
        let one = of_slots(1, machine());
        assert_eq!((one.cpus, one.tasks, one.default_tasks()), (Cpus::whole(16), 1, 1));
        let four = of_slots(4, machine());
        assert_eq!((four.cpus, four.tasks, four.default_tasks()), (Cpus::whole(4), 16, 4));
        assert_eq!((four.memory, four.gpus.len(), four.hides_gpus), (64 << 30, 2, false));
    }

    #[test]
    fn gpus_are_a_number_or_indices() {
        let with = |text: &str| {
            let mut inventory = of_slots(4, machine());
            set_gpus(&mut inventory, text).map(|()| (inventory.gpus.join(","), inventory.gpu_model))
        };
        let model = |model: &str| Some(model.to_owned());
        assert_eq!(with("1"), Ok(("0".into(), model("A100"))));
        assert_eq!(with("0"), Ok((String::new(), model("A100"))));
        assert_eq!(with("3:h100"), Ok(("0,1,2".into(), model("h100"))));
        assert_eq!(with("[1,GPU-7]"), Ok(("1,GPU-7".into(), model("A100"))));
        assert!(with("all").is_err() && with("[]").is_err());
    }

    #[test]
    fn units_allow_more_tasks_than_processors() {
        let named = BTreeMap::from([("lic".to_owned(), Units::Number(100))]);
        assert_eq!(with_units(&Inventory { named: named.clone(), ..of_slots(4, machine()) }), 100);
        assert_eq!(with_units(&of_slots(4, machine())), 16);
        assert_eq!(with_units(&Inventory { named, ..of_slots(1, machine()) }), 1);
    }
}
