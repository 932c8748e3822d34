//! Which tasks fit into a worker, by what they request and what the worker offers; and which units each of them gets.
//!
//! A coordinator counts ([`Free`]): it decides which tasks a worker is given. The worker itself decides which processors'
//! share, GPUs and other units each task holds ([`Ledger`]). Neither ever exceeds what the worker offers.

mod check;
mod ledger;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use mitosis_protocol::{Cpus, ResourceOffer, ResourceRequest};

pub use check::{
    InvalidResources, MAX_GPUS, MAX_MEMORY, MAX_MODEL_BYTES, MAX_NAMED_RESOURCES, MAX_RESOURCE_NAME,
    MAX_UNITS, check_name, check_offer, check_request,
};
pub use ledger::{GpuVendor, Holding, Inventory, Ledger, Units};
pub use parse::{InvalidText, parse_gpus, parse_indices, parse_named, parse_size, parse_units};

/// What is free on a worker. Amounts may be negative, for a worker that holds more than it offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Free {
    cpus: i64,
    memory: i64,
    gpus: i64,
    gpu_model: Option<String>,
    named: BTreeMap<String, i64>,
    tasks: i64,
    /// The largest number of tasks: a worker with one gives it everything.
    most_tasks: i64,
}

/// A resource of which a worker has too little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The resource.
    pub resource: Resource,
    /// How much a task requests.
    pub requested: u64,
    /// How much there is.
    pub available: u64,
}

/// A kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Processors, in thousandths.
    Cpus,
    /// Bytes of memory.
    Memory,
    /// GPUs, and the requested model if the worker's is another one.
    Gpus(Option<String>),
    /// A named resource.
    Named(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, requested, available } = self;
        let cpus = |number: u64| Cpus::from_thousandths(u32::try_from(number).unwrap_or(u32::MAX));
        match resource {
            Resource::Cpus => write!(f, "{} of {} cpus", cpus(*available), cpus(*requested)),
            Resource::Memory => write!(f, "{} of {} memory", size(*available), size(*requested)),
            Resource::Gpus(None) => write!(f, "{available} of {requested} gpus"),
            Resource::Gpus(Some(model)) => write!(f, "{available} of {requested} gpus `{model}`"),
            Resource::Named(name) => write!(f, "{available} of {requested} `{name}`"),
        }
    }
}

/// Formats bytes with the largest unit that shows at least one, exact to a tenth.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && bytes >= scale.saturating_mul(1_024) {
        scale *= 1_024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    match tenths % 10 {
        0 => format!("{}{}", tenths / 10, UNITS[unit]),
        rest => format!("{}.{rest}{}", tenths / 10, UNITS[unit]),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Free {
    /// All that an idle worker offers.
    pub fn of(offer: &ResourceOffer) -> Self {
        Self {
            cpus: i64::from(offer.cpus.thousandths()),
            memory: signed(offer.memory),
            gpus: i64::from(offer.gpus),
            gpu_model: offer.gpu_model.clone(),
            named: offer.named.iter().map(|(name, units)| (name.clone(), signed(*units))).collect(),
            tasks: i64::from(offer.tasks),
            most_tasks: i64::from(offer.tasks),
        }
    }

    /// How many tasks with this request fit.
    pub fn fits(&self, request: &ResourceRequest) -> usize {
        let of = |free: i64, requested: u64| match requested {
            0 => i64::MAX,
            requested => free.max(0) / signed(requested),
        };
        if request.gpus > 0 && !has_model(self.gpu_model.as_deref(), request) {
            return 0;
        }
        let named = request
            .named
            .iter()
            .map(|(name, units)| of(self.named.get(name).copied().unwrap_or(0), *units))
            .min();
        let fits = self
            .tasks
            .max(0)
            .min(of(self.cpus, u64::from(request.cpus.thousandths())))
            .min(of(self.memory, request.memory))
            .min(of(self.gpus, u64::from(request.gpus)))
            .min(named.unwrap_or(i64::MAX));
        usize::try_from(fits).unwrap_or(0)
    }

    /// Takes the resources of a number of tasks, whether they fit or not.
    pub fn take(&mut self, request: &ResourceRequest, count: i64) {
        let less = |free: &mut i64, requested: i64| {
            *free = free.saturating_sub(requested.saturating_mul(count));
        };
        less(&mut self.cpus, i64::from(request.cpus.thousandths()));
        less(&mut self.memory, signed(request.memory));
        less(&mut self.gpus, i64::from(request.gpus));
        for (name, units) in &request.named {
            less(self.named.entry(name.clone()).or_default(), signed(*units));
        }
        less(&mut self.tasks, 1);
    }

    /// Returns the resources of one task.
    pub fn give_back(&mut self, request: &ResourceRequest) {
        self.take(request, -1);
    }

    /// Takes everything except for the number of tasks: what is reserved for one task, which others can't use.
    pub fn reserve(&mut self, request: &ResourceRequest) {
        let tasks = self.tasks;
        self.take(request, 1);
        // A worker with one task can't run another one beside it.
        if self.most_tasks > 1 {
            self.tasks = tasks.min(self.most_tasks - 1);
        }
    }

    /// Whether more is in use than there is.
    pub fn is_exceeded(&self) -> bool {
        let least = self.named.values().copied().min().unwrap_or(0);
        least.min(self.cpus).min(self.memory).min(self.gpus).min(self.tasks) < 0
    }

    /// How many more tasks may start, whatever they request.
    pub fn tasks(&self) -> usize {
        usize::try_from(self.tasks).unwrap_or(0)
    }

    /// What is free, at least nothing of each.
    pub fn left(&self) -> ResourceOffer {
        let number = |free: i64| u64::try_from(free).unwrap_or(0);
        let small = |free: i64| u32::try_from(free.max(0)).unwrap_or(u32::MAX);
        ResourceOffer {
            cpus: Cpus::from_thousandths(small(self.cpus)),
            memory: number(self.memory),
            gpus: small(self.gpus),
            gpu_model: self.gpu_model.clone(),
            named: self.named.iter().map(|(name, free)| (name.clone(), number(*free))).collect(),
            tasks: small(self.tasks),
        }
    }

    /// What a task lacks here, if it does not fit; empty only if it fits or the number of tasks is exhausted.
    pub fn lacks(&self, request: &ResourceRequest) -> Vec<Lack> {
        let mut lacks = Vec::new();
        let mut check = |resource, requested: u64, free: i64| {
            let available = u64::try_from(free).unwrap_or(0);
            if available < requested {
                lacks.push(Lack { resource, requested, available });
            }
        };
        check(Resource::Cpus, u64::from(request.cpus.thousandths()), self.cpus);
        check(Resource::Memory, request.memory, self.memory);
        let has_model = has_model(self.gpu_model.as_deref(), request);
        let model = request.gpu_model.clone();
        check(Resource::Gpus(model), u64::from(request.gpus), if has_model { self.gpus } else { 0 });
        for (name, units) in &request.named {
            let free = self.named.get(name).copied().unwrap_or(0);
            check(Resource::Named(name.clone()), *units, free);
        }
        lacks
    }
}

/// Whether an idle worker with this offer can run a task with this request.
pub fn can_serve(offer: &ResourceOffer, request: &ResourceRequest) -> bool {
    Free::of(offer).fits(request) > 0
}

fn has_model(model: Option<&str>, request: &ResourceRequest) -> bool {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
    match (&request.gpu_model, model) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wanted), Some(model)) => plain(model).contains(&plain(wanted)),
    }
}
