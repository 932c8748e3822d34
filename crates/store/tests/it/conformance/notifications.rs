//! Secrets that coordinators share.

use crate::backend::Backend;
use crate::harness::Harness;

pub(crate) async fn shared_secret_is_the_first_proposal_for_all<B: Backend>(harness: &mut Harness<B>) {
    let store = harness.store();
    let names = ["a", "b", "c", "d"];
    let agreed = names.map(|proposal| store.shared_secret("one", proposal));
    let agreed = futures_util::future::try_join_all(agreed).await.unwrap();
    assert!(names.contains(&agreed[0].as_str()), "{agreed:?}");
    assert!(agreed.iter().all(|secret| *secret == agreed[0]), "{agreed:?}");
    assert_eq!(store.shared_secret("other", "mine").await.unwrap(), "mine");
    assert_eq!(store.shared_secret("one", "later").await.unwrap(), agreed[0]);
}
