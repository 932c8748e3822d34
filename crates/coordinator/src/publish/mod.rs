//! The one place that acts on the effects of a commit: wakes who waits for tasks, streams of events, followers of
//! output, agents and the planner of jobs, here and at the other coordinators.
//!
//! An operation of the store answers [`Changed`], whose value comes out here. No handler wakes anyone by hand.

pub(crate) mod notifier;

use std::sync::Arc;

use mitosis_protocol::Uuid;
use mitosis_store::ops::{Changed, Effects};

use crate::auth::revalidation::MembershipCache;
use crate::dispatch::agents::Agents;
use crate::dispatch::peer_notifier::{Hint, HintQueue, PeerNotifier};
use crate::events::output_hub::OutputHub;
use crate::jobs::Jobs;
use notifier::Notifier;

/// Publishes effects; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Publisher(Arc<Audience>);

/// Who is woken.
#[derive(Debug, Clone)]
pub(crate) struct Audience {
    /// Notified when tasks became Ready, or a worker may run others.
    pub(crate) ready: Notifier,
    /// Notified when a task changed to another state without becoming Ready.
    pub(crate) changed: Notifier,
    pub(crate) agents: Arc<Agents>,
    pub(crate) output: Arc<OutputHub>,
    pub(crate) memberships: Arc<MembershipCache>,
    pub(crate) jobs: Jobs,
    pub(crate) peers: PeerNotifier,
}

/// The right to wake agents and followers, which only a [`Publisher`] has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MayWake(());

impl MayWake {
    #[cfg(test)]
    pub(crate) fn in_test() -> Self {
        Self(())
    }
}

impl Publisher {
    /// A publisher, everyone that it wakes, and the hints for the other coordinators.
    pub(crate) fn start() -> (Self, Audience, HintQueue) {
        let (peers, hints) = PeerNotifier::new();
        let audience = Audience {
            ready: Notifier::new(),
            changed: Notifier::new(),
            agents: Arc::default(),
            output: Arc::default(),
            memberships: Arc::default(),
            jobs: Jobs::default(),
            peers,
        };
        (Self(Arc::new(audience.clone())), audience, hints)
    }

    /// Publishes the effects of a commit; returns the value of the operation.
    pub(crate) fn publish<T>(&self, changed: Changed<T>) -> T {
        let (value, effects) = changed.into_parts();
        let Effects { ready, moved, ended, workers, memberships, jobs } = effects;
        let audience = &*self.0;
        if memberships {
            audience.memberships.clear();
        }
        if ready {
            audience.ready.notify();
        }
        if moved {
            audience.changed.notify();
        }
        for task in ended {
            audience.output.changed(task, MayWake(()));
        }
        for worker in workers {
            audience.agents.wake(worker, MayWake(()));
            audience.peers.send(Hint::WakeAgent(worker));
        }
        audience.jobs.changed(&jobs, MayWake(()));
        value
    }

    /// Wakes those who wait here for tasks that became Ready on another coordinator.
    pub(crate) fn ready_at_peer(&self) {
        self.0.ready.notify_locally();
    }

    /// Wakes those who wait here for tasks that changed on another coordinator.
    pub(crate) fn changed_at_peer(&self) {
        self.0.changed.notify_locally();
    }

    /// Wakes the poll of an agent for another coordinator.
    pub(crate) fn wake_for_peer(&self, agent: Uuid) {
        self.0.agents.wake(agent, MayWake(()));
    }

    /// Wakes the polls of all agents: what other coordinators have published may be lost.
    pub(crate) fn wake_all(&self) {
        self.0.agents.wake_all(MayWake(()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::FutureExt as _;
    use mitosis_domain::ids::{JobId, UserId, WorkerId};
    use mitosis_domain::worker::WorkerKind;
    use mitosis_store::StoreError;

    use super::notifier::Subscription;
    use super::*;
    use crate::events::output_hub::{Wake, Wanted};

    const TASK: Uuid = Uuid::from_u128(1);
    const AGENT: Uuid = Uuid::from_u128(2);
    const JOB: JobId = JobId(3);

    /// A publisher, and everyone who may be woken.
    struct Everyone {
        publisher: Publisher,
        ready: Subscription,
        changed: Subscription,
        output: Arc<OutputHub>,
        agents: Arc<Agents>,
        memberships: Arc<MembershipCache>,
        jobs: Jobs,
        asked: Arc<AtomicU64>,
        outbox: HintQueue,
    }

    impl Everyone {
        fn new() -> Self {
            let (publisher, audience, outbox) = Publisher::start();
            let Audience { ready, changed, agents, output, memberships, jobs, .. } = audience;
            agents.insert(AGENT, WorkerId(1), WorkerKind::Agent, None);
            let (ready, changed) = (ready.subscribe(), changed.subscribe());
            let asked = Arc::default();
            Self { publisher, ready, changed, output, agents, memberships, jobs, asked, outbox }
        }

        /// How often the store was asked for memberships.
        async fn asked(&self) -> u64 {
            let asked = self.asked.clone();
            let ask = || async move {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok::<_, StoreError>(Arc::new(HashSet::new()))
            };
            self.memberships.get(UserId(1), ask).await.unwrap();
            self.asked.load(Ordering::Relaxed)
        }
    }

    /// Each kind of effect reaches those that it is for, and no others.
    #[tokio::test]
    async fn each_effect_wakes_those_who_wait_for_it() {
        let none = Effects::default;
        for (effects, expected) in [
            (none(), [false; 6]),
            (Effects { ready: true, ..none() }, [true, false, false, false, false, false]),
            (Effects { moved: true, ..none() }, [false, true, false, false, false, false]),
            (Effects { ended: vec![TASK], ..none() }, [false, false, true, false, false, false]),
            (Effects { workers: vec![AGENT], ..none() }, [false, false, false, true, false, false]),
            (Effects { memberships: true, ..none() }, [false, false, false, false, true, false]),
            (Effects { jobs: vec![JOB], ..none() }, [false, false, false, false, false, true]),
        ] {
            let mut everyone = Everyone::new();
            let output = everyone.output.clone();
            let mut follower = output.follow(TASK, Wanted::Bytes { stdout: 0, stderr: 0 });
            let before = everyone.asked().await;
            assert_eq!(everyone.publisher.publish(Changed::new(7, effects.clone())), 7);
            let woken = [
                everyone.ready.take(),
                everyone.changed.take(),
                follower.woken().now_or_never() == Some(Wake::Changed),
                everyone.agents.take_message(AGENT, || 1).0.compare,
                everyone.asked().await > before,
                everyone.jobs.plan_queue.take().now_or_never().is_some_and(|jobs| jobs.contains(&JOB)),
            ];
            assert_eq!(woken, expected, "{effects:?}");
            let hint = everyone.outbox.take().await;
            assert_eq!(matches!(hint, Some(Hint::WakeAgent(AGENT))), woken[3], "{effects:?}");
        }
    }

    #[tokio::test]
    async fn what_a_peer_has_published_wakes_those_who_wait_here() {
        let mut everyone = Everyone::new();
        everyone.publisher.ready_at_peer();
        assert_eq!((everyone.ready.take(), everyone.changed.take()), (true, false));
        everyone.publisher.changed_at_peer();
        assert_eq!((everyone.ready.take(), everyone.changed.take()), (false, true));
        everyone.publisher.wake_for_peer(AGENT);
        assert!(everyone.agents.take_message(AGENT, || 1).0.compare);
        everyone.publisher.wake_all();
        assert!(everyone.agents.take_message(AGENT, || 1).0.compare);
        assert!(everyone.outbox.take().await.is_none(), "the peer knows it");
    }
}
