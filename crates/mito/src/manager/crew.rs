//! Everybody whom a supervisor keeps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::keeper::{Keeper, Seen};
use super::place::Place;
use super::wire::{Order, State, WorkerStatus};

/// The workers, in the order of their numbers.
pub(super) struct Crew {
    place: Place,
    list: Mutex<List>,
    /// How many are alive: watched to know when there is nothing left to keep.
    alive: watch::Sender<usize>,
}

#[derive(Default)]
struct List {
    members: Vec<Member>,
    /// Nobody new is taken.
    closed: bool,
}

struct Member {
    number: u32,
    seen: watch::Receiver<Seen>,
    stop: CancellationToken,
    drain: CancellationToken,
}

/// The crew is closed; another supervisor is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

impl Crew {
    pub(super) fn new(place: Place) -> Self {
        Self { place, list: Mutex::default(), alive: watch::Sender::new(0) }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Nothing below leaves the list half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts so many more.
    pub(super) fn take_on(self: &std::sync::Arc<Self>, count: u16, order: &Order) -> Result<(), Closed> {
        let mut list = self.list();
        if list.closed {
            return Err(Closed);
        }
        for _ in 0..count {
            let number = list.members.last().map_or(1, |last| last.number + 1);
            let (seen, receiver) = watch::channel(Seen::new());
            let (stop, drain) = (CancellationToken::new(), CancellationToken::new());
            let keeper = Keeper {
                number,
                order: order.clone(),
                log: self.place.log(number),
                seen,
                stop: stop.clone(),
                drain: drain.clone(),
            };
            list.members.push(Member { number, seen: receiver, stop, drain });
            self.keep(keeper);
        }
        Ok(())
    }

    fn keep(self: &std::sync::Arc<Self>, keeper: Keeper) -> JoinHandle<()> {
        self.alive.send_modify(|alive| *alive += 1);
        let crew = self.clone();
        tokio::spawn(async move {
            keeper.keep().await;
            crew.alive.send_modify(|alive| *alive -= 1);
        })
    }

    pub(super) fn statuses(&self) -> Vec<WorkerStatus> {
        self.list().members.iter().map(|member| member.seen.borrow().status(member.number)).collect()
    }

    /// Ends when every worker that was just started has a process, or has failed to get one.
    pub(super) async fn started(&self) {
        let all: Vec<_> = self.list().members.iter().map(|member| member.seen.clone()).collect();
        for mut seen in all {
            // An error means that its keeper is done with it, which is as good.
            let _ = seen.wait_for(|seen| seen.pid.is_some() || seen.last_end.is_some()).await;
        }
    }

    /// Stops these and waits for their ends; answers how many were alive, and which numbers nobody has.
    pub(super) async fn stop(&self, numbers: &[u32]) -> (usize, Vec<u32>) {
        let (leaving, unknown) = self.ask(numbers, |member| &member.stop);
        let ended = leaving.len();
        until_over(leaving).await;
        (ended, unknown)
    }

    /// Has these end what they run and leave, all of them if none is named; answers how many are alive,
    /// and which numbers nobody has. May wait for their ends.
    pub(super) async fn drain(&self, numbers: Vec<u32>, wait: bool) -> (usize, Vec<u32>) {
        let numbers = if numbers.is_empty() { self.numbers() } else { numbers };
        let (leaving, unknown) = self.ask(&numbers, |member| &member.drain);
        let asked = leaving.len();
        match wait {
            true => until_over(leaving).await,
            // What `status` shows next.
            false => until_noticed(leaving).await,
        }
        (asked, unknown)
    }

    fn numbers(&self) -> Vec<u32> {
        self.list().members.iter().map(|member| member.number).collect()
    }

    /// Asks those for something that are alive; answers them, and which numbers nobody has.
    fn ask(
        &self,
        numbers: &[u32],
        what: impl Fn(&Member) -> &CancellationToken,
    ) -> (Vec<watch::Receiver<Seen>>, Vec<u32>) {
        let list = self.list();
        let has = |number: &u32| list.members.iter().any(|member| member.number == *number);
        let unknown = numbers.iter().copied().filter(|number| !has(number)).collect();
        let mut asked = Vec::new();
        for member in list.members.iter().filter(|member| numbers.contains(&member.number)) {
            if member.seen.borrow().state.is_alive() {
                what(member).cancel();
                asked.push(member.seen.clone());
            }
        }
        (asked, unknown)
    }

    /// From now on nobody is taken on; stops everybody. Answers how many were alive.
    pub(super) async fn dismiss(&self) -> usize {
        self.list().closed = true;
        self.stop(&self.numbers()).await.0
    }

    /// Closes it, if nobody is alive.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut list = self.list();
        list.closed |= *self.alive.borrow() == 0;
        list.closed
    }

    /// Ends when nobody is alive.
    pub(super) async fn is_empty(&self) {
        let _ = self.alive.subscribe().wait_for(|alive| *alive == 0).await;
    }

    /// Ends when somebody is alive.
    pub(super) async fn has_somebody(&self) {
        let _ = self.alive.subscribe().wait_for(|alive| *alive > 0).await;
    }
}

async fn until_over(leaving: Vec<watch::Receiver<Seen>>) {
    for mut seen in leaving {
        // An error means that its keeper is done with it, which is as good.
        let _ = seen.wait_for(|seen| !seen.state.is_alive()).await;
    }
}

async fn until_noticed(draining: Vec<watch::Receiver<Seen>>) {
    for mut seen in draining {
        let _ = seen.wait_for(|seen| !matches!(seen.state, State::Running | State::Waiting)).await;
    }
}
