//! Which units of what a worker offers each of its tasks holds.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_protocol::resources::GrantedResource;
use mitosis_protocol::{Cpus, Granted, ResourceOffer, ResourceRequest};

use super::Free;

/// The maker of GPUs, which decides how a command is shown its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuVendor {
    /// NVIDIA: `CUDA_VISIBLE_DEVICES`.
    #[default]
    Nvidia,
    /// AMD: `ROCR_VISIBLE_DEVICES`.
    Amd,
}

impl GpuVendor {
    /// The variable that lists the GPUs of a command.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Nvidia => "CUDA_VISIBLE_DEVICES",
            Self::Amd => "ROCR_VISIBLE_DEVICES",
        }
    }
}

/// A named resource as a worker offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Units {
    /// A number of equal units.
    Number(u64),
    /// Units with indices.
    Indices(Vec<String>),
}

impl Units {
    /// How many units there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Indices(indices) => indices.len() as u64,
        }
    }
}

/// Everything that a worker gives to its tasks, with the indices of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The number of processors.
    pub cpus: Cpus,
    /// Memory in bytes.
    pub memory: u64,
    /// The indices of the GPUs.
    pub gpus: Vec<String>,
    /// The model of all GPUs.
    pub gpu_model: Option<String>,
    /// The maker of the GPUs.
    pub gpu_vendor: GpuVendor,
    /// Whether a task that requests no GPU is kept from using them.
    pub hides_gpus: bool,
    /// Named resources.
    pub named: BTreeMap<String, Units>,
    /// The largest number of tasks at once. With one, each task gets everything.
    pub tasks: u32,
}

impl Inventory {
    /// A worker that runs a number of tasks of the default size at once, and knows nothing else about its machine.
    pub fn of_slots(slots: usize) -> Self {
        Self {
            cpus: Cpus::whole(slots),
            memory: 0,
            gpus: Vec::new(),
            gpu_model: None,
            gpu_vendor: GpuVendor::default(),
            hides_gpus: false,
            named: BTreeMap::new(),
            tasks: u32::try_from(slots).unwrap_or(u32::MAX),
        }
    }

    /// The same in numbers, for a coordinator.
    pub fn offer(&self) -> ResourceOffer {
        ResourceOffer {
            cpus: self.cpus,
            memory: self.memory,
            gpus: u32::try_from(self.gpus.len()).unwrap_or(u32::MAX),
            gpu_model: self.gpu_model.clone(),
            named: self.named.iter().map(|(name, units)| (name.clone(), units.count())).collect(),
            tasks: self.tasks,
        }
    }

    /// How many tasks of the default request run at once.
    pub fn default_tasks(&self) -> usize {
        (self.cpus.thousandths() / 1_000).clamp(1, self.tasks.max(1)) as usize
    }
}

/// What the running tasks of a worker hold, and what is free.
#[derive(Debug, Clone)]
pub struct Ledger {
    inventory: Inventory,
    pub(super) free: Free,
    /// The free units with indices, in the order in which they were listed.
    gpus: BTreeSet<usize>,
    named: BTreeMap<String, BTreeSet<usize>>,
}

/// The resources of a running task. They are free again after [`Ledger::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub(super) request: ResourceRequest,
    gpus: Vec<usize>,
    named: BTreeMap<String, Vec<usize>>,
}

impl Ledger {
    /// The ledger of an idle worker.
    pub fn new(inventory: Inventory) -> Self {
        let free = Free::of(&inventory.offer());
        let gpus = (0..inventory.gpus.len()).collect();
        let indices = |units: &Units| match units {
            Units::Number(_) => None,
            Units::Indices(indices) => Some((0..indices.len()).collect()),
        };
        let named = inventory.named.iter().filter_map(|(name, units)| Some((name.clone(), indices(units)?)));
        let named = named.collect();
        Self { inventory, free, gpus, named }
    }

    /// What the worker offers.
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Free processors, in thousandths.
    pub const fn free_cpus(&self) -> i64 {
        self.free.cpus
    }

    /// Whether a task fits now.
    pub fn fits(&self, request: &ResourceRequest) -> bool {
        self.free.fits(request) > 0
    }

    /// Takes what a task requests, if it fits. A task that has the worker for itself gets everything.
    pub fn grant(&mut self, request: &ResourceRequest) -> Option<(Holding, Granted)> {
        if !self.fits(request) {
            return None;
        }
        self.free.take(request, 1);
        let is_alone = self.inventory.tasks == 1;
        let gpus = if is_alone { self.gpus.len() } else { request.gpus as usize };
        let gpus = take_first(&mut self.gpus, gpus);
        let mut named = BTreeMap::new();
        let mut granted_named = BTreeMap::new();
        for (name, units) in &self.inventory.named {
            let wanted = if is_alone { Some(units.count()) } else { request.named.get(name).copied() };
            let Some(wanted) = wanted else { continue };
            let granted = match (units, self.named.get_mut(name)) {
                (Units::Indices(indices), Some(free)) => {
                    let taken = take_first(free, usize::try_from(wanted).unwrap_or(usize::MAX));
                    let granted = taken.iter().map(|index| indices[*index].clone()).collect();
                    named.insert(name.clone(), taken);
                    GrantedResource::Indices(granted)
                }
                _ => GrantedResource::Units(wanted),
            };
            granted_named.insert(name.clone(), granted);
        }
        let of_gpus = || gpus.iter().map(|index| self.inventory.gpus[*index].clone()).collect();
        let memory = if is_alone { self.inventory.memory } else { request.memory };
        let granted = Granted {
            cpus: Some(if is_alone { self.inventory.cpus } else { request.cpus }),
            memory: (memory > 0).then_some(memory),
            gpus: (request.gpus > 0 || (self.inventory.hides_gpus && !is_alone)).then(of_gpus),
            named: granted_named,
        };
        Some((Holding { request: request.clone(), gpus, named }, granted))
    }

    /// Returns what a task held.
    pub fn release(&mut self, holding: Holding) {
        let Holding { request, gpus, named } = holding;
        self.free.give_back(&request);
        self.gpus.extend(gpus);
        for (name, taken) in named {
            self.named.entry(name).or_default().extend(taken);
        }
    }
}

fn take_first(free: &mut BTreeSet<usize>, count: usize) -> Vec<usize> {
    let taken: Vec<usize> = free.iter().copied().take(count).collect();
    for index in &taken {
        free.remove(index);
    }
    taken
}
