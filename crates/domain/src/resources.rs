//! Which tasks fit into a worker, by what they request and what the worker offers; and which units each of them gets.
//!
//! A coordinator counts ([`Free`]): it decides which tasks a worker is given. The worker itself decides which processors'
//! share, GPUs and other units each task holds ([`Ledger`]). Neither ever exceeds what the worker offers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mitosis_protocol::resources::GrantedResource;
use mitosis_protocol::{Cpus, Granted, ResourceOffer, ResourceRequest};

use crate::limits::MAX_SLOTS;

/// The longest name of a resource, in bytes.
pub const MAX_RESOURCE_NAME: usize = 64;
/// The most named resources of a request or an offer.
pub const MAX_NAMED_RESOURCES: usize = 32;
/// The most units of a named resource.
pub const MAX_UNITS: u64 = 1_000_000_000_000;
/// The most memory, in bytes.
pub const MAX_MEMORY: u64 = 1 << 60;
/// The most GPUs.
pub const MAX_GPUS: u32 = 4_096;
/// The longest name of a model, in bytes.
pub const MAX_MODEL_BYTES: usize = 200;

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

/// An offer or a request that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResources {
    /// The name of a resource has other characters or a wrong length.
    #[error(
        "invalid resource name `{0}`: expected 1 to {MAX_RESOURCE_NAME} letters, digits, `_` and `-`, the first a letter"
    )]
    Name(String),
    /// There are too many names.
    #[error("more than {MAX_NAMED_RESOURCES} named resources")]
    TooManyNames,
    /// A number is too large.
    #[error("too large a number of `{0}`")]
    TooLarge(String),
    /// The model of a GPU is too long or empty.
    #[error("the model of a GPU must have 1 to {MAX_MODEL_BYTES} bytes")]
    Model,
    /// A model without a number of GPUs.
    #[error("a GPU model without a number of GPUs")]
    ModelWithoutGpus,
    /// A worker must run at least one task.
    #[error("a worker must run 1 to {MAX_SLOTS} tasks")]
    Tasks,
}

/// Checks what a task requests.
pub fn check_request(request: &ResourceRequest) -> Result<(), InvalidResources> {
    if request.gpus == 0 && request.gpu_model.is_some() {
        return Err(InvalidResources::ModelWithoutGpus);
    }
    check_named(&request.named)?;
    check_numbers(request.cpus, request.memory, request.gpus, request.gpu_model.as_deref())
}

/// Checks what a worker offers.
pub fn check_offer(offer: &ResourceOffer) -> Result<(), InvalidResources> {
    if !(1..=MAX_SLOTS).contains(&offer.tasks) {
        return Err(InvalidResources::Tasks);
    }
    check_named(&offer.named)?;
    check_numbers(offer.cpus, offer.memory, offer.gpus, offer.gpu_model.as_deref())
}

/// Checks the name of a resource.
pub fn check_name(name: &str) -> Result<(), InvalidResources> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_valid = (1..=MAX_RESOURCE_NAME).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(fits);
    if is_valid { Ok(()) } else { Err(InvalidResources::Name(name.to_owned())) }
}

fn check_named(named: &BTreeMap<String, u64>) -> Result<(), InvalidResources> {
    if named.len() > MAX_NAMED_RESOURCES {
        return Err(InvalidResources::TooManyNames);
    }
    for (name, units) in named {
        check_name(name)?;
        if *units > MAX_UNITS {
            return Err(InvalidResources::TooLarge(name.clone()));
        }
    }
    Ok(())
}

fn check_numbers(cpus: Cpus, memory: u64, gpus: u32, model: Option<&str>) -> Result<(), InvalidResources> {
    let too_large = |what: &str| Err(InvalidResources::TooLarge(what.to_owned()));
    if cpus > Cpus::MAX {
        return too_large("cpus");
    }
    if memory > MAX_MEMORY {
        return too_large("memory");
    }
    if gpus > MAX_GPUS {
        return too_large("gpus");
    }
    match model {
        Some(model) if !(1..=MAX_MODEL_BYTES).contains(&model.len()) => Err(InvalidResources::Model),
        _ => Ok(()),
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
    free: Free,
    /// The free units with indices, in the order in which they were listed.
    gpus: BTreeSet<usize>,
    named: BTreeMap<String, BTreeSet<usize>>,
}

/// The resources of a running task. They are free again after [`Ledger::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    request: ResourceRequest,
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

/// Parses a size in bytes, such as `4GiB`, `512M` or `1000`.
pub fn parse_size(text: &str) -> Result<u64, InvalidText> {
    const UNITS: [(&str, u64); 14] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
        ("T", 1 << 40),
        ("B", 1),
        ("", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), *bytes)))
        .unwrap_or((text, 1));
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| InvalidText::new("size", text, "a number of bytes such as 512MiB or 4GiB"))
}

/// Parses a number of GPUs with a part of the model's name: `2` or `2:a100`.
pub fn parse_gpus(text: &str) -> Result<(u32, Option<String>), InvalidText> {
    let (number, model) = match text.split_once(':') {
        Some((number, model)) => (number, Some(model.to_owned())),
        None => (text, None),
    };
    match (number.parse(), &model) {
        (Ok(number), None) => Ok((number, model)),
        (Ok(number), Some(name)) if number > 0 && !name.is_empty() => Ok((number, model)),
        _ => Err(InvalidText::new("number of GPUs", text, "a number such as 2, or with a model: 2:a100")),
    }
}

/// Parses units of a named resource: `licence=2`.
pub fn parse_named(text: &str) -> Result<(String, u64), InvalidText> {
    let invalid = || InvalidText::new("resource", text, "a name and a number such as licence=2");
    let (name, units) = text.split_once('=').ok_or_else(invalid)?;
    check_name(name).map_err(|_| invalid())?;
    Ok((name.to_owned(), units.parse().map_err(|_| invalid())?))
}

/// Parses what a worker offers of a named resource: `licence=2`, or units with indices: `disk=[sda,sdb]`.
pub fn parse_units(text: &str) -> Result<(String, Units), InvalidText> {
    let invalid = || {
        InvalidText::new(
            "resource",
            text,
            "a name with a number or indices, such as licence=2 or disk=[sda,sdb]",
        )
    };
    let (name, units) = text.split_once('=').ok_or_else(invalid)?;
    check_name(name).map_err(|_| invalid())?;
    let units = match parse_indices(units) {
        Some(indices) => Units::Indices(indices),
        None => Units::Number(units.parse().map_err(|_| invalid())?),
    };
    Ok((name.to_owned(), units))
}

/// Parses indices in brackets; none if they are something else, empty, or repeated.
pub fn parse_indices(text: &str) -> Option<Vec<String>> {
    let list = text.strip_prefix('[')?.strip_suffix(']')?;
    let indices: Vec<String> = list.split(',').map(|index| index.trim().to_owned()).collect();
    let different: BTreeSet<&String> = indices.iter().collect();
    let is_valid = different.len() == indices.len() && indices.iter().all(|index| !index.is_empty());
    is_valid.then_some(indices)
}

/// A text that does not describe a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{text}`: expected {expected}")]
pub struct InvalidText {
    what: &'static str,
    text: String,
    expected: &'static str,
}

impl InvalidText {
    fn new(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self { what, text: text.to_owned(), expected }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(cpus: &str) -> ResourceRequest {
        ResourceRequest { cpus: cpus.parse().unwrap(), ..ResourceRequest::default() }
    }

    fn inventory() -> Inventory {
        Inventory {
            cpus: Cpus::whole(8),
            memory: 32 << 30,
            gpus: ["0", "1", "3", "7"].map(str::to_owned).to_vec(),
            gpu_model: Some("NVIDIA A100-SXM4-40GB".to_owned()),
            gpu_vendor: GpuVendor::Nvidia,
            hides_gpus: true,
            named: BTreeMap::from([
                ("lic".to_owned(), Units::Number(3)),
                ("disk".to_owned(), Units::Indices(["sda", "sdb"].map(str::to_owned).to_vec())),
            ]),
            tasks: 16,
        }
    }

    #[test]
    fn scarcest_resource_decides_how_many_fit() {
        let free = Free::of(&inventory().offer());
        assert_eq!(free.fits(&ResourceRequest::default()), 8);
        assert_eq!(free.fits(&request("0.25")), 16, "the number of tasks is limited");
        assert_eq!(free.fits(&request("3")), 2);
        assert_eq!(free.fits(&request("8.001")), 0);
        assert_eq!(free.fits(&ResourceRequest { memory: 20 << 30, ..request("1") }), 1);
        assert_eq!(free.fits(&ResourceRequest { gpus: 2, ..request("1") }), 2);
        let named = |name: &str, units| ResourceRequest {
            named: BTreeMap::from([(name.to_owned(), units)]),
            ..request("0")
        };
        assert_eq!((free.fits(&named("lic", 2)), free.fits(&named("disk", 1))), (1, 2));
        assert_eq!((free.fits(&named("nic", 1)), free.fits(&named("nic", 0))), (0, 16));
    }

    #[test]
    fn gpu_model_is_a_part_of_the_name() {
        let free = Free::of(&inventory().offer());
        let of = |model: &str| ResourceRequest {
            gpus: 1,
            gpu_model: Some(model.to_owned()),
            ..ResourceRequest::default()
        };
        assert_eq!((free.fits(&of("a100")), free.fits(&of("A100 sxm4")), free.fits(&of("h100"))), (4, 4, 0));
        let unknown = Free::of(&ResourceOffer { gpu_model: None, ..inventory().offer() });
        assert_eq!(unknown.fits(&of("a100")), 0);
        assert_eq!(free.lacks(&of("h100"))[0].to_string(), "0 of 1 gpus `h100`");
    }

    #[test]
    fn lacks_are_named_with_numbers() {
        let mut free = Free::of(&inventory().offer());
        free.take(&ResourceRequest { memory: 30 << 30, ..request("2.5") }, 1);
        let named = BTreeMap::from([("nic".to_owned(), 1)]);
        let wanted = ResourceRequest { memory: 5 << 29, gpus: 5, named, ..request("8") };
        let lacks: Vec<String> = free.lacks(&wanted).iter().map(ToString::to_string).collect();
        let expected = ["5.5 of 8 cpus", "2GiB of 2.5GiB memory", "4 of 5 gpus", "0 of 1 `nic`"];
        assert_eq!(lacks, expected);
        assert!(free.lacks(&request("5.5")).is_empty());
    }

    #[test]
    fn units_are_granted_once_until_they_are_released() {
        let mut ledger = Ledger::new(inventory());
        let two = ResourceRequest {
            gpus: 2,
            named: BTreeMap::from([("disk".to_owned(), 1), ("lic".to_owned(), 1)]),
            ..ResourceRequest::default()
        };
        let (first, granted) = ledger.grant(&two).unwrap();
        assert_eq!(granted.gpus, Some(vec!["0".to_owned(), "1".to_owned()]));
        assert_eq!(granted.named["disk"].to_string(), "sda");
        assert_eq!(granted.named["lic"].to_string(), "1");
        let (_, granted) = ledger.grant(&two).unwrap();
        assert_eq!(granted.gpus, Some(vec!["3".to_owned(), "7".to_owned()]));
        assert!(ledger.grant(&two).is_none());
        ledger.release(first);
        assert_eq!(ledger.grant(&two).unwrap().1.gpus, Some(vec!["0".to_owned(), "1".to_owned()]));
        let (_, granted) = ledger.grant(&request("1")).unwrap();
        assert_eq!((granted.gpus, granted.memory), (Some(vec![]), None), "GPUs are hidden from other tasks");
    }

    #[test]
    fn only_task_of_a_worker_gets_the_whole_machine() {
        let mut ledger = Ledger::new(Inventory { tasks: 1, ..inventory() });
        let (holding, granted) = ledger.grant(&request("1")).unwrap();
        assert_eq!((granted.cpus, granted.memory), (Some(Cpus::whole(8)), Some(32 << 30)));
        assert_eq!((granted.gpus, granted.named["disk"].to_string()), (None, "sda,sdb".to_owned()));
        assert!(ledger.grant(&request("0")).is_none());
        ledger.release(holding);
        let (_, granted) = ledger.grant(&ResourceRequest { gpus: 1, ..request("1") }).unwrap();
        assert_eq!(granted.gpus.unwrap().len(), 4);
    }

    #[test]
    fn written_resources_are_parsed() {
        let sizes = ["4GiB", "512M", "1000", "2 KB", "1T", "7B"].map(|text| parse_size(text).unwrap());
        assert_eq!(sizes, [4 << 30, 512 << 20, 1_000, 2_000, 1 << 40, 7]);
        assert!(
            ["", "x", "GiB", "-1", "1.5GiB", "99999999999TiB"].iter().all(|text| parse_size(text).is_err())
        );
        assert_eq!(parse_gpus("2"), Ok((2, None)));
        assert_eq!(parse_gpus("2:a100"), Ok((2, Some("a100".to_owned()))));
        assert!(["", "a100", "2:", "0:a100", "-1"].iter().all(|text| parse_gpus(text).is_err()));
        assert_eq!(parse_named("lic=2"), Ok(("lic".to_owned(), 2)));
        assert!(["lic", "=2", "lic=", "lic=x", "1c=2"].iter().all(|text| parse_named(text).is_err()));
        let indices = |list: &[&str]| Units::Indices(list.iter().map(ToString::to_string).collect());
        assert_eq!(parse_units("disk=[sda, sdb]").unwrap().1, indices(&["sda", "sdb"]));
        assert_eq!(parse_units("lic=3").unwrap().1, Units::Number(3));
        assert!(["disk=[]", "disk=[a,a]", "disk=[a", "disk"].iter().all(|text| parse_units(text).is_err()));
    }

    #[test]
    fn unusual_requests_are_refused() {
        let named = |name: &str, units| ResourceRequest {
            named: BTreeMap::from([(name.to_owned(), units)]),
            ..ResourceRequest::default()
        };
        assert_eq!(check_request(&named("Lic_1-a", 5)), Ok(()));
        for wrong in ["", "1x", "a b", "ä", "_x", "a=b", &"x".repeat(65)] {
            let expected = Err(InvalidResources::Name(wrong.to_owned()));
            assert_eq!(check_request(&named(wrong, 1)), expected);
        }
        assert!(check_request(&named("a", MAX_UNITS + 1)).is_err());
        let model = ResourceRequest { gpu_model: Some("a100".to_owned()), ..ResourceRequest::default() };
        assert_eq!(check_request(&model), Err(InvalidResources::ModelWithoutGpus));
        assert_eq!(check_request(&ResourceRequest { gpus: 1, ..model }), Ok(()));
        assert_eq!(
            check_offer(&ResourceOffer { tasks: 0, ..inventory().offer() }),
            Err(InvalidResources::Tasks)
        );
    }

    #[test]
    fn reservation_leaves_what_exceeds_it() {
        let mut free = Free::of(&inventory().offer());
        free.reserve(&request("6"));
        assert_eq!((free.fits(&request("1")), free.fits(&request("0.1"))), (2, 15));
        let mut alone = Free::of(&ResourceOffer { tasks: 1, ..inventory().offer() });
        alone.reserve(&request("6"));
        assert_eq!(alone.fits(&request("1")), 0);
    }

    fn requests() -> impl Strategy<Value = ResourceRequest> {
        (0..9_000_u32, 0..40_u64, 0..6_u32, 0..5_u64, 0..4_u64).prop_map(|(cpus, memory, gpus, lic, disk)| {
            ResourceRequest {
                cpus: Cpus::from_thousandths(cpus),
                memory: memory << 30,
                gpus,
                named: BTreeMap::from([("lic".to_owned(), lic), ("disk".to_owned(), disk)]),
                ..ResourceRequest::default()
            }
        })
    }

    proptest! {
        /// Whatever starts and ends, the sum of what is granted never exceeds the offer, no unit is granted twice at once,
        /// and a task is refused only if it does not fit.
        #[test]
        fn no_resource_is_ever_exceeded(
            steps in prop::collection::vec((requests(), any::<bool>(), any::<prop::sample::Index>()), 1..200),
            tasks in 1..20_u32,
        ) {
            let inventory = Inventory { tasks, ..inventory() };
            let offer = inventory.offer();
            let mut ledger = Ledger::new(inventory.clone());
            let mut running: Vec<(Holding, Granted)> = Vec::new();
            for (request, ends, which) in steps {
                if ends && !running.is_empty() {
                    let (holding, _) = running.remove(which.index(running.len()));
                    ledger.release(holding);
                }
                let mut free = Free::of(&offer);
                for (holding, _) in &running {
                    free.take(&holding.request, 1);
                }
                prop_assert_eq!(&free, &ledger.free, "the coordinator counts the same");
                let granted = ledger.grant(&request);
                prop_assert_eq!(granted.is_some(), free.fits(&request) > 0);
                running.extend(granted);
                let sum = |of: fn(&Granted) -> u64| running.iter().map(|(_, granted)| of(granted)).sum::<u64>();
                let cpus = |granted: &Granted| u64::from(granted.cpus.unwrap().thousandths());
                prop_assert!(sum(cpus) <= u64::from(offer.cpus.thousandths()));
                prop_assert!(sum(|granted| granted.memory.unwrap_or(0)) <= offer.memory);
                prop_assert!(running.len() <= tasks as usize);
                let all = |of: fn(&Granted) -> Vec<String>| {
                    let all: Vec<String> = running.iter().flat_map(|(_, granted)| of(granted)).collect();
                    let different: BTreeSet<String> = all.iter().cloned().collect();
                    all.len() == different.len()
                };
                prop_assert!(all(|granted| granted.gpus.clone().unwrap_or_default()));
                let disks = |granted: &Granted| match granted.named.get("disk") {
                    Some(GrantedResource::Indices(disks)) => disks.clone(),
                    _ => Vec::new(),
                };
                prop_assert!(all(disks));
                let licences = |granted: &Granted| match granted.named.get("lic") {
                    Some(GrantedResource::Units(units)) => *units,
                    _ => 0,
                };
                prop_assert!(sum(licences) <= 3);
            }
        }
    }
}
