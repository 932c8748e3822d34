//! Files that a group shares: charged by growth, listed by key.

use futures_util::future::join_all;
use mitosis_domain::ids::GroupId;
use mitosis_domain::object::ObjectKey;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::{Removal, Reservation};
use mitosis_store::ops::attachments::{Attachment, AttachmentQuery};

use crate::backend::Backend;
use crate::stage::{SECOND, Stage, TICK, name};

async fn put<B: Backend>(stage: &Stage<B>, group: GroupId, key: &str, size: i64) -> Reservation {
    stage.store().reserve_attachment(By::Site, group, key, size, None, stage.now).await.unwrap()
}

async fn keys<B: Backend>(stage: &Stage<B>, group: GroupId, part: Option<&str>) -> Vec<String> {
    let query = AttachmentQuery { group, key_contains: part.map(str::to_owned) };
    let found = stage.store().query_attachments(&query, 0, 1_000).await.unwrap();
    assert_eq!(stage.store().count_attachments(&query).await.unwrap(), found.len() as u64);
    found.into_iter().map(|attachment| attachment.key).collect()
}

async fn limit<B: Backend>(stage: &Stage<B>, bytes: i64) {
    let change = QuotaChange::Set(bytes);
    assert!(stage.store().change_storage_quota("ann", change, stage.now).await.unwrap().is_some());
}

pub(crate) async fn the_larger_size_is_kept_and_only_growth_is_charged<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let created_at = stage.now;
    for (size, recorded, exist) in [(100, 100, false), (40, 100, true), (130, 130, true), (130, 130, true)] {
        let object = "ann/in/data.bin".to_owned();
        let reservation = put(stage, ann.group, "in/data.bin", size).await;
        assert_eq!(reservation, Reservation::Reserved { exist, object, creates: false }, "{size}");
        let kept = stage.store().attachment(ann.group, "in/data.bin").await.unwrap();
        let key = "in/data.bin".to_owned();
        let expected = Attachment { key, size: recorded, created_at, updated_at: stage.now };
        assert_eq!(kept, Some(expected));
        assert_eq!(stage.used("ann").await, recorded);
        stage.pass(SECOND);
    }
}

pub(crate) async fn keys_of_different_groups_have_nothing_to_do_with_one_another<B: Backend>(
    stage: &mut Stage<B>,
) {
    let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
    put(stage, ann.group, "k", 5).await;
    assert!(stage.store().attachment(bob.group, "k").await.unwrap().is_none());
    assert!(stage.store().attachment(ann.group, "K").await.unwrap().is_none());
    put(stage, bob.group, "k", 7).await;
    assert_eq!((stage.used("ann").await, stage.used("bob").await), (5, 7));
    let removal = stage.store().remove_attachment(By::Site, ann.group, "k", stage.now).await.unwrap();
    assert_eq!(removal, Removal::Removed { object: "ann/k".to_owned() });
    let garbage = stage.store().garbage(10, stage.now).await.unwrap();
    assert_eq!(garbage, [ObjectKey::attachment(&name("ann"), "k").unwrap()], "a crash forgets nothing");
    assert_eq!(keys(stage, bob.group, None).await, ["k"]);
}

pub(crate) async fn keys_are_matched_to_the_letter_and_come_in_byte_order<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let all = ["B", "a%b", "a_b", "a\\b", "aXb", "b/c", "é", "a b"];
    for key in all {
        put(stage, ann.group, key, 1).await;
    }
    let mut sorted = all.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(keys(stage, ann.group, None).await, sorted);
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
        assert_eq!(keys(stage, ann.group, Some(part)).await, expected, "{part}");
    }
}

pub(crate) async fn pages_of_keys_follow_one_another<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let all: Vec<String> = (0..10).map(|number| format!("part{number}")).collect();
    for key in all.iter().rev() {
        put(stage, ann.group, key, 1).await;
    }
    let query = AttachmentQuery { group: ann.group, key_contains: Some("part".to_owned()) };
    for (offset, limit, expected) in
        [(0, 4, &all[..4]), (4, 4, &all[4..8]), (8, 4, &all[8..]), (10, 4, &[]), (0, 0, &[])]
    {
        let found = stage.store().query_attachments(&query, offset, limit).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|attachment| attachment.key).collect();
        assert_eq!(found, expected, "{offset} {limit}");
    }
    assert_eq!(stage.store().count_attachments(&query).await.unwrap(), 10);
}

pub(crate) async fn sixty_four_files_at_once_never_exceed_the_quota<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    limit(stage, 1_000).await;
    let all: Vec<String> = (0..64).map(|number| format!("part{number}")).collect();
    let outcomes = join_all(all.iter().map(|key| put(stage, ann.group, key, 30))).await;
    let accepted = outcomes.iter().filter(|outcome| matches!(outcome, Reservation::Reserved { .. })).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Reservation::OverQuota).count();
    assert_eq!((accepted, refused), (33, 31), "{outcomes:?}");
    assert_eq!(stage.used("ann").await, 990);
    assert_eq!(keys(stage, ann.group, None).await.len(), 33);
}

pub(crate) async fn one_file_put_many_times_at_once_is_charged_once<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let outcomes = join_all((1..=32).map(|size| put(stage, ann.group, "k", size))).await;
    let fresh =
        outcomes.iter().filter(|outcome| matches!(outcome, Reservation::Reserved { exist: false, .. }));
    assert_eq!(fresh.count(), 1, "{outcomes:?}");
    assert_eq!(stage.used("ann").await, 32);
}

pub(crate) async fn what_does_not_fit_leaves_the_file_as_it_was<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    limit(stage, 100).await;
    put(stage, ann.group, "k", 60).await;
    assert_eq!(put(stage, ann.group, "k", 101).await, Reservation::OverQuota);
    assert_eq!(put(stage, ann.group, "l", 41).await, Reservation::OverQuota);
    assert_eq!(stage.store().attachment(ann.group, "k").await.unwrap().unwrap().size, 60);
    assert_eq!(keys(stage, ann.group, None).await, ["k"]);
    assert!(matches!(put(stage, ann.group, "k", 100).await, Reservation::Reserved { .. }));
    stage.set_group_state("ann", AccountState::Locked).await;
    assert_eq!(put(stage, ann.group, "k", 1).await, Reservation::GroupNotActive);
}

pub(crate) async fn a_removed_file_gives_its_size_back<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    put(stage, ann.group, "k", 60).await;
    let touched = stage.now;
    let remove = async |stage: &Stage<B>, key: &str, since| {
        stage.store().remove_attachment(By::Site, ann.group, key, since).await.unwrap()
    };
    assert_eq!(remove(stage, "none", touched).await, Removal::Unknown);
    assert_eq!(remove(stage, "k", touched - TICK).await, Removal::TooYoung);
    assert_eq!(stage.used("ann").await, 60);
    assert_eq!(remove(stage, "k", touched).await, Removal::Removed { object: "ann/k".to_owned() });
    assert_eq!(remove(stage, "k", touched).await, Removal::Unknown);
    assert_eq!(stage.used("ann").await, 0);
}
