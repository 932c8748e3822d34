//! From claim to commit.

use mitosis_domain::task::{Attempt, Ending, ExecEnd, Phase};
use mitosis_store::ops::dispatch::{Completed, EndReport, Holder};

use crate::backend::Backend;
use crate::stage::{SECOND, Stage, status};

pub(crate) async fn a_task_goes_its_way_from_submission_to_its_end<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    assert_eq!(stage.phase(uuid).await, Phase::Ready);

    stage.pass(SECOND);
    let held = stage.claim_one(hand).await;
    let attempt = Attempt { worker: hand.uuid, epoch: 1, claimed_at: stage.now };
    assert_eq!(held.task, stage.get(uuid).await);
    assert_eq!(held.task.phase, Phase::Running(attempt));
    assert_eq!(held.task.updated_at, stage.now);

    stage.pass(SECOND);
    let holder = Holder::Lease(held.lease);
    assert_eq!(stage.report(holder, ExecEnd::Finished).await, EndReport::Noted);
    assert_eq!(stage.phase(uuid).await, Phase::Reported(attempt, ExecEnd::Finished));
    assert_eq!(stage.get(uuid).await.updated_at, stage.now);

    stage.pass(SECOND);
    assert_eq!(stage.commit(holder, status(768)).await, Completed::Committed);
    let ending =
        Ending { end: ExecEnd::Finished, result: status(768), reporter: Some(hand.uuid), at: stage.now };
    assert_eq!(stage.phase(uuid).await, Phase::Ended(ending));
    assert_eq!(stage.get(uuid).await.updated_at, stage.now);
}
