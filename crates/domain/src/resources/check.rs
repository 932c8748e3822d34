//! What a request and an offer may contain.

use std::collections::BTreeMap;

use mitosis_protocol::{Cpus, ResourceOffer, ResourceRequest};

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
