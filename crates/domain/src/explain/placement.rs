//! Where a task that requests certain resources can run, and when.

use mitosis_protocol::{Cpus, ResourceOffer, ResourceRequest};
use uuid::Uuid;

use crate::ids::WorkerId;
use crate::reservation::{BusyWorker, ends_until_fit};
use crate::resources::{Free, Lack, size};

/// A worker of the group that has all tags of a task and accepts tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The UUID.
    pub worker: Uuid,
    /// The host name, if known.
    pub host: Option<String>,
    /// What it offers; none if it runs only tasks of the default request.
    pub offer: Option<ResourceOffer>,
    /// What its tasks request, the oldest first.
    pub held: Vec<ResourceRequest>,
    /// Whether it is reserved for the lane of the task.
    pub is_reserved: bool,
    /// What is reserved on it for another lane.
    pub reserved_for_other: Option<ResourceRequest>,
}

/// Where a task can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// None of the candidates offers enough.
    Nowhere {
        /// The number of candidates.
        workers: u64,
        /// The one that lacks the least.
        nearest: Option<NearestOffer>,
    },
    /// A worker has enough, but not now.
    Later(NextWorker),
    /// A worker has enough now.
    Now,
}

/// The worker that comes closest to what a task requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearestOffer {
    /// The UUID.
    pub worker: Uuid,
    /// The host name, if known.
    pub host: Option<String>,
    /// What it lacks.
    pub lacks: Vec<Lack>,
}

/// The worker that will have enough first, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextWorker {
    /// The UUID.
    pub worker: Uuid,
    /// The host name, if known.
    pub host: Option<String>,
    /// What it lacks now.
    pub lacks: Vec<Lack>,
    /// How many of its tasks have to end before, if the oldest end first.
    pub ends: u64,
    /// Whether it is kept free for this task.
    pub is_reserved: bool,
}

/// Decides where a task can run.
pub fn place(request: &ResourceRequest, candidates: &[Candidate]) -> Placement {
    let able = candidates.iter().filter_map(|candidate| {
        let busy =
            BusyWorker { id: WorkerId(0), offer: candidate.offer.clone()?, held: candidate.held.clone() };
        let mut free = Free::of(&busy.offer);
        busy.held.iter().for_each(|held| free.take(held, 1));
        let ends = ends_until_fit(&busy, request)?;
        if let Some(other) = &candidate.reserved_for_other {
            free.reserve(other);
        }
        Some((candidate, ends as u64, free))
    });
    let next =
        able.min_by_key(|(candidate, ends, free)| (!candidate.is_reserved, free.fits(request) == 0, *ends));
    match next {
        Some((_, _, free)) if free.fits(request) > 0 => Placement::Now,
        Some((candidate, ends, free)) => Placement::Later(NextWorker {
            worker: candidate.worker,
            host: candidate.host.clone(),
            lacks: free.lacks(request),
            ends,
            is_reserved: candidate.is_reserved,
        }),
        None => {
            let lacks = candidates.iter().map(|candidate| {
                let offer = candidate.offer.clone().unwrap_or_else(default_offer);
                (candidate, Free::of(&offer).lacks(request))
            });
            let nearest = lacks.min_by_key(|(_, lacks)| (lacks.len(), missing(lacks)));
            let nearest = nearest.map(|(candidate, lacks)| NearestOffer {
                worker: candidate.worker,
                host: candidate.host.clone(),
                lacks,
            });
            Placement::Nowhere { workers: candidates.len() as u64, nearest }
        }
    }
}

/// What an agent runs that does not say what it offers.
fn default_offer() -> ResourceOffer {
    ResourceOffer {
        cpus: Cpus::ONE,
        memory: 0,
        gpus: 0,
        gpu_model: None,
        named: std::collections::BTreeMap::new(),
        tasks: 1,
    }
}

/// The largest part of a request that is missing, in thousandths.
fn missing(lacks: &[Lack]) -> u64 {
    let of = |lack: &Lack| (lack.requested - lack.available).saturating_mul(1_000) / lack.requested.max(1);
    lacks.iter().map(of).max().unwrap_or(0)
}

/// Describes a request: `8 cpus, 4GiB memory, 2 gpus (a100), 1 licence`.
pub fn describe_request(request: &ResourceRequest) -> String {
    let plural = |number: String, unit: &str| match number.as_str() {
        "1" => format!("1 {unit}"),
        number => format!("{number} {unit}s"),
    };
    let mut parts = vec![plural(request.cpus.to_string(), "cpu")];
    if request.memory > 0 {
        parts.push(format!("{} memory", size(request.memory)));
    }
    if request.gpus > 0 {
        let model = request.gpu_model.as_ref().map(|model| format!(" ({model})")).unwrap_or_default();
        parts.push(plural(request.gpus.to_string(), "gpu") + &model);
    }
    parts.extend(request.named.iter().map(|(name, units)| format!("{units} {name}")));
    parts.join(", ")
}

/// Describes what a worker offers in the same form.
pub fn describe_offer(offer: &ResourceOffer) -> String {
    let ResourceOffer { cpus, memory, gpus, gpu_model, named, tasks: _ } = offer.clone();
    describe_request(&ResourceRequest { cpus, memory, gpus, gpu_model, named, time: None })
}

/// Joins what is missing: `4 of 8 cpus and 0 of 2 gpus`.
pub(super) fn joined(lacks: &[Lack]) -> String {
    let texts: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    match &texts[..] {
        [] => "enough".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(number: usize) -> ResourceRequest {
        ResourceRequest { cpus: Cpus::whole(number), ..ResourceRequest::default() }
    }

    fn candidate(id: u128, size: usize, held: &[usize]) -> Candidate {
        let offer = ResourceOffer { cpus: Cpus::whole(size), tasks: 64, ..default_offer() };
        Candidate {
            worker: Uuid::from_u128(id),
            host: None,
            offer: Some(offer),
            held: held.iter().copied().map(cpus).collect(),
            is_reserved: false,
            reserved_for_other: None,
        }
    }

    #[test]
    fn nearest_worker_lacks_the_smallest_part() {
        let older = Candidate { offer: None, ..candidate(3, 1, &[]) };
        let placed = place(&cpus(8), &[candidate(1, 2, &[]), candidate(2, 6, &[6]), older]);
        let Placement::Nowhere { workers: 3, nearest: Some(nearest) } = placed else { panic!("{placed:?}") };
        assert_eq!((nearest.worker, joined(&nearest.lacks)), (Uuid::from_u128(2), "6 of 8 cpus".to_owned()));
    }

    #[test]
    fn next_worker_is_the_reserved_one_or_that_with_the_fewest_ends() {
        let busy = [candidate(1, 8, &[1, 1, 4]), candidate(2, 8, &[5, 1])];
        let next = |candidates: &[Candidate]| match place(&cpus(4), candidates) {
            Placement::Later(next) => (next.worker.as_u128(), next.ends, next.is_reserved),
            other => panic!("{other:?}"),
        };
        assert_eq!(next(&busy), (2, 1, false));
        let [mut first, second] = busy;
        first.is_reserved = true;
        assert_eq!(next(&[first, second]), (1, 2, true));
        assert_eq!(place(&cpus(4), &[candidate(1, 8, &[4])]), Placement::Now);
        let kept = Candidate { reserved_for_other: Some(cpus(8)), ..candidate(1, 8, &[4]) };
        assert!(matches!(place(&cpus(4), &[kept]), Placement::Later(_)));
    }

    #[test]
    fn request_is_described_in_words() {
        let request = ResourceRequest {
            memory: 4 << 30,
            gpus: 1,
            gpu_model: Some("a100".into()),
            named: std::collections::BTreeMap::from([("licence".to_owned(), 2)]),
            ..cpus(8)
        };
        assert_eq!(describe_request(&request), "8 cpus, 4GiB memory, 1 gpu (a100), 2 licence");
        assert_eq!(describe_request(&cpus(1)), "1 cpu");
    }
}
