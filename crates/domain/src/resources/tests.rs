//! Tests of resources.

use proptest::prelude::*;

use std::collections::{BTreeMap, BTreeSet};

use mitosis_protocol::Granted;
use mitosis_protocol::resources::GrantedResource;

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
    assert!(["", "x", "GiB", "-1", "1.5GiB", "99999999999TiB"].iter().all(|text| parse_size(text).is_err()));
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
    assert_eq!(check_offer(&ResourceOffer { tasks: 0, ..inventory().offer() }), Err(InvalidResources::Tasks));
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
