//! The audit log.

use crate::backend::Backend;
use crate::harness::{Harness, SECOND};

pub(crate) async fn entries_are_paged_newest_first<B: Backend>(harness: &mut Harness<B>) {
    let store = harness.store();
    for number in 0..5 {
        harness.pass(SECOND);
        let address = (number % 2 == 0).then(|| "2001:db8::7".parse().unwrap());
        store.record("ann", "user.created", &format!("user {number}"), address, harness.now).await.unwrap();
    }
    let first = store.audit(None, 3).await.unwrap();
    let targets = |page: &[mitosis_protocol::audit::AuditEntry]| {
        page.iter().map(|entry| entry.target.clone()).collect::<Vec<_>>()
    };
    assert_eq!(targets(&first), ["user 4", "user 3", "user 2"]);
    assert_eq!((first[0].at, first[0].actor.as_str()), (harness.now, "ann"));
    assert_eq!(first[0].address, Some("2001:db8::7".parse().unwrap()));
    assert_eq!(first[1].address, None);
    let second = store.audit(Some(first[2].id), 3).await.unwrap();
    assert_eq!(targets(&second), ["user 1", "user 0"]);
}
