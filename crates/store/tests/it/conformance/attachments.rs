//! Records of attachments: charges and lists.

use futures_util::future::join_all;
use mitosis_domain::ids::GroupId;
use mitosis_domain::object::ObjectKey;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_store::ops::artifacts::{Removal, Reservation, UploadRecord};
use mitosis_store::ops::attachments::{Attachment, AttachmentQuery};
use mitosis_store::ops::{Actor, Administered};

use crate::backend::Backend;
use crate::harness::{Harness, SECOND, TICK, name};

async fn put<B: Backend>(harness: &Harness<B>, group: GroupId, key: &str, size: i64) -> Reservation {
    harness.store().reserve_attachment(Actor::System, group, key, size, None, harness.now).await.unwrap()
}

async fn keys<B: Backend>(harness: &Harness<B>, group: GroupId, part: Option<&str>) -> Vec<String> {
    let query = AttachmentQuery { group, key_contains: part.map(str::to_owned) };
    let found = harness.store().query_attachments(&query, 0, 1_000).await.unwrap();
    assert_eq!(harness.store().count_attachments(&query).await.unwrap(), found.len() as u64);
    found.into_iter().map(|attachment| attachment.key).collect()
}

async fn limit<B: Backend>(harness: &Harness<B>, bytes: i64) {
    let change = QuotaChange::Set(bytes);
    let changed =
        harness.store().change_storage_quota(Actor::System, "ann", change, harness.now).await.unwrap();
    assert!(matches!(changed, Administered::Done(_)));
}

pub(crate) async fn larger_size_is_kept_and_only_growth_is_charged<B: Backend>(harness: &mut Harness<B>) {
    use UploadRecord::{Existing, New};
    let ann = harness.person("ann").await;
    let created_at = harness.now;
    for (size, recorded, record) in
        [(100, 100, New), (40, 100, Existing), (130, 130, Existing), (130, 130, Existing)]
    {
        let object = "ann/in/data.bin".to_owned();
        let reservation = put(harness, ann.group, "in/data.bin", size).await;
        assert_eq!(reservation, Reservation::Reserved { record, object }, "{size}");
        let kept = harness.store().attachment(ann.group, "in/data.bin").await.unwrap();
        let key = "in/data.bin".to_owned();
        let expected = Attachment { key, size: recorded, created_at, updated_at: harness.now };
        assert_eq!(kept, Some(expected));
        assert_eq!(harness.used("ann").await, recorded);
        harness.pass(SECOND);
    }
}

pub(crate) async fn keys_of_different_groups_are_independent<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    put(harness, ann.group, "k", 5).await;
    assert!(harness.store().attachment(bob.group, "k").await.unwrap().is_none());
    assert!(harness.store().attachment(ann.group, "K").await.unwrap().is_none());
    put(harness, bob.group, "k", 7).await;
    assert_eq!((harness.used("ann").await, harness.used("bob").await), (5, 7));
    let removal =
        harness.store().remove_attachment(Actor::System, ann.group, "k", harness.now).await.unwrap();
    assert_eq!(removal, Removal::Removed { object: Some("ann/k".to_owned()) });
    let garbage = harness.store().garbage(10, harness.now).await.unwrap();
    assert_eq!(garbage, [ObjectKey::attachment(&name("ann"), "k").unwrap()], "a crash forgets nothing");
    assert_eq!(keys(harness, bob.group, None).await, ["k"]);
}

pub(crate) async fn keys_match_literally_in_byte_order<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let all = ["B", "a%b", "a_b", "a\\b", "aXb", "b/c", "é", "a b"];
    for key in all {
        put(harness, ann.group, key, 1).await;
    }
    let mut sorted = all.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(keys(harness, ann.group, None).await, sorted);
    for (part, expected) in [
        ("%", vec!["a%b"]),
        ("_", vec!["a_b"]),
        ("\\", vec!["a\\b"]),
        ("x", vec![]),
        ("X", vec!["aXb"]),
        ("/", vec!["b/c"]),
        ("é", vec!["é"]),
        ("*", vec![]),
    ] {
        assert_eq!(keys(harness, ann.group, Some(part)).await, expected, "{part}");
    }
}

pub(crate) async fn pages_of_keys_are_contiguous<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let all: Vec<String> = (0..10).map(|number| format!("part{number}")).collect();
    for key in all.iter().rev() {
        put(harness, ann.group, key, 1).await;
    }
    let query = AttachmentQuery { group: ann.group, key_contains: Some("part".to_owned()) };
    for (offset, limit, expected) in
        [(0, 4, &all[..4]), (4, 4, &all[4..8]), (8, 4, &all[8..]), (10, 4, &[]), (0, 0, &[])]
    {
        let found = harness.store().query_attachments(&query, offset, limit).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|attachment| attachment.key).collect();
        assert_eq!(found, expected, "{offset} {limit}");
    }
    assert_eq!(harness.store().count_attachments(&query).await.unwrap(), 10);
}

pub(crate) async fn concurrent_files_never_exceed_the_quota<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    limit(harness, 1_000).await;
    let all: Vec<String> = (0..64).map(|number| format!("part{number}")).collect();
    let outcomes = join_all(all.iter().map(|key| put(harness, ann.group, key, 30))).await;
    let accepted = outcomes.iter().filter(|outcome| matches!(outcome, Reservation::Reserved { .. })).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Reservation::OverQuota).count();
    assert_eq!((accepted, refused), (33, 31), "{outcomes:?}");
    assert_eq!(harness.used("ann").await, 990);
    assert_eq!(keys(harness, ann.group, None).await.len(), 33);
}

pub(crate) async fn concurrent_puts_of_one_file_charge_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let outcomes = join_all((1..=32).map(|size| put(harness, ann.group, "k", size))).await;
    let fresh = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Reservation::Reserved { record: UploadRecord::New, .. }));
    assert_eq!(fresh.count(), 1, "{outcomes:?}");
    assert_eq!(harness.used("ann").await, 32);
}

pub(crate) async fn refused_reservation_keeps_the_old_size<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    limit(harness, 100).await;
    put(harness, ann.group, "k", 60).await;
    assert_eq!(put(harness, ann.group, "k", 101).await, Reservation::OverQuota);
    assert_eq!(put(harness, ann.group, "l", 41).await, Reservation::OverQuota);
    assert_eq!(harness.store().attachment(ann.group, "k").await.unwrap().unwrap().size, 60);
    assert_eq!(keys(harness, ann.group, None).await, ["k"]);
    assert!(matches!(put(harness, ann.group, "k", 100).await, Reservation::Reserved { .. }));
    harness.set_group_state("ann", AccountState::Locked).await;
    assert_eq!(put(harness, ann.group, "k", 1).await, Reservation::GroupNotActive);
}

pub(crate) async fn removed_file_releases_its_size<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    put(harness, ann.group, "k", 60).await;
    let touched = harness.now;
    let remove = async |harness: &Harness<B>, key: &str, since| {
        harness.store().remove_attachment(Actor::System, ann.group, key, since).await.unwrap()
    };
    assert_eq!(remove(harness, "none", touched).await, Removal::Unknown);
    assert_eq!(remove(harness, "k", touched - TICK).await, Removal::TooYoung);
    assert_eq!(harness.used("ann").await, 60);
    assert_eq!(remove(harness, "k", touched).await, Removal::Removed { object: Some("ann/k".to_owned()) });
    assert_eq!(remove(harness, "k", touched).await, Removal::Unknown);
    assert_eq!(harness.used("ann").await, 0);
}
