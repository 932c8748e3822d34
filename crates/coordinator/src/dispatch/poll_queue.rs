//! The queue of agents that wait for tasks.
//!
//! A notification wakes all of them, which must not mean that ten thousand query the store at once. They are served
//! in the order in which they came, a few at a time; and once a waiter of an eligibility class got less than it
//! wanted, no other of that class is served until the next notification.

use std::collections::{HashSet, VecDeque};

use mitosis_store::ops::dispatch::Class;

/// Counts notifications: what was read in an earlier generation may be out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Generation(u64);

/// A waiting request.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) request: T,
    /// The eligibility class of its worker, if known.
    pub(super) class: Option<Class>,
}

/// A queue of requests that wait for tasks.
#[derive(Debug)]
pub(super) struct PollQueue<T> {
    /// Waiters to serve.
    due: VecDeque<Waiter<T>>,
    /// Waiters that got no task since the last notification.
    parked: VecDeque<Waiter<T>>,
    exhausted: HashSet<Class>,
    generation: Generation,
}

impl<T> PollQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            due: VecDeque::new(),
            parked: VecDeque::new(),
            exhausted: HashSet::new(),
            generation: Generation::default(),
        }
    }

    /// Makes all waiters due: tasks may have become Ready.
    pub(super) fn notify(&mut self) {
        self.generation = Generation(self.generation.0 + 1);
        self.exhausted.clear();
        self.due.append(&mut self.parked);
    }

    /// The generation in which a read begins now.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// Adds a new request, which is due at once unless its class is exhausted.
    pub(super) fn push(&mut self, request: T, class: Option<Class>) {
        self.due.push_back(Waiter { request, class });
    }

    /// Takes the next due waiter whose class is not exhausted.
    pub(super) fn next(&mut self) -> Option<Waiter<T>> {
        while let Some(next) = self.due.pop_front() {
            if next.class.is_some_and(|class| self.exhausted.contains(&class)) {
                self.parked.push_back(next);
            } else {
                return Some(next);
            }
        }
        None
    }

    /// Notes that a read of that generation left no task for this class.
    pub(super) fn exhausted(&mut self, class: Class, read: Generation) {
        if read == self.generation {
            self.exhausted.insert(class);
        }
    }

    /// Puts a waiter back that got nothing in a read of that generation.
    pub(super) fn requeue(&mut self, request: T, class: Option<Class>, read: Generation) {
        let waiter = Waiter { request, class };
        match read == self.generation {
            true => self.parked.push_back(waiter),
            // A notification came in the meantime.
            false => self.due.push_back(waiter),
        }
    }

    /// Removes requests that have been cancelled.
    pub(super) fn retain(&mut self, mut waits: impl FnMut(&T) -> bool) {
        self.due.retain(|waiter| waits(&waiter.request));
        self.parked.retain(|waiter| waits(&waiter.request));
    }

    /// Waiters, for a gauge.
    pub(super) fn len(&self) -> i64 {
        i64::try_from(self.due.len() + self.parked.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.parked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Class = Class(1);
    const B: Class = Class(2);

    fn names(queue: &mut PollQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.next()).map(|waiter| waiter.request).collect()
    }

    /// A queue whose waiters have all got no task.
    fn parked(waiters: &[(&'static str, Class)]) -> PollQueue<&'static str> {
        let mut queue = PollQueue::new();
        for (name, class) in waiters {
            queue.requeue(*name, Some(*class), queue.generation());
        }
        queue
    }

    #[test]
    fn waiter_is_served_once_per_notification() {
        let mut queue = parked(&[("ann", A), ("raj", B)]);
        assert!(names(&mut queue).is_empty());
        queue.notify();
        assert_eq!(names(&mut queue), ["ann", "raj"]);
    }

    #[test]
    fn exhausted_class_is_not_served() {
        let mut queue = parked(&[("ann", A), ("raj", B), ("mei", A)]);
        queue.notify();
        let read = queue.generation();
        let first = queue.next().unwrap();
        queue.exhausted(A, read);
        queue.requeue(first.request, Some(A), read);
        assert_eq!(names(&mut queue), ["raj"]);
        queue.notify();
        assert_eq!(names(&mut queue), ["ann", "mei"], "served again after the next notification");
    }

    #[test]
    fn new_waiter_of_an_exhausted_class_is_parked() {
        let mut queue = parked(&[("ann", A)]);
        queue.exhausted(A, queue.generation());
        queue.push("raj", Some(A));
        queue.push("mei", None);
        assert_eq!(names(&mut queue), ["mei"]);
        queue.notify();
        assert_eq!(names(&mut queue), ["ann", "raj"]);
    }

    #[test]
    fn notification_during_a_read_is_not_missed() {
        let mut queue = parked(&[("ann", A)]);
        queue.notify();
        let read = queue.generation();
        let first = queue.next().unwrap();
        queue.notify();
        queue.exhausted(A, read);
        queue.requeue(first.request, Some(A), read);
        assert_eq!(names(&mut queue), ["ann"]);
    }

    #[test]
    fn request_that_was_given_up_is_removed() {
        let mut queue = parked(&[("ann", A), ("raj", B)]);
        queue.push("mei", None);
        queue.retain(|request| *request != "ann");
        queue.notify();
        assert_eq!(names(&mut queue), ["mei", "raj"]);
        assert!(queue.is_empty());
    }
}
