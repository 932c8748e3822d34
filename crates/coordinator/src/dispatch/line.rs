//! The line of those who wait for a task.
//!
//! A ring of the bell wakes everybody, which must not mean that ten thousand ask the store at once. They
//! ask in the order in which they came, a few at a time; and once one of a class went away empty, nobody
//! of that class needs to ask until the next ring.

use std::collections::{HashSet, VecDeque};

use mitosis_store::ops::dispatch::Class;

/// Counts the rings of the bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ring(u64);

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) who: T,
    /// What it may run, as far as that is known.
    pub(super) class: Option<Class>,
}

/// Those who wait.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// Who may ask now.
    due: VecDeque<Waiting<T>>,
    /// Who has asked since the last ring.
    asleep: VecDeque<Waiting<T>>,
    exhausted: HashSet<Class>,
    ring: Ring,
}

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            due: VecDeque::new(),
            asleep: VecDeque::new(),
            exhausted: HashSet::new(),
            ring: Ring::default(),
        }
    }

    /// Something may have become Ready.
    pub(super) fn ring(&mut self) {
        self.ring = Ring(self.ring.0 + 1);
        self.exhausted.clear();
        self.due.append(&mut self.asleep);
    }

    /// The ring at which a question is asked now.
    pub(super) fn now(&self) -> Ring {
        self.ring
    }

    /// A newcomer, who may ask at once; unless it is of a class for which there was nothing just now.
    pub(super) fn join(&mut self, who: T, class: Option<Class>) {
        self.due.push_back(Waiting { who, class });
    }

    /// The next who may ask, and for whom there may be something.
    pub(super) fn next(&mut self) -> Option<Waiting<T>> {
        while let Some(next) = self.due.pop_front() {
            if next.class.is_some_and(|class| self.exhausted.contains(&class)) {
                self.asleep.push_back(next);
            } else {
                return Some(next);
            }
        }
        None
    }

    /// Nothing more waited for this class when it was asked for at that ring.
    pub(super) fn exhausted(&mut self, class: Class, asked: Ring) {
        if asked == self.ring {
            self.exhausted.insert(class);
        }
    }

    /// One who asked at that ring went away empty, and waits on.
    pub(super) fn wait_on(&mut self, who: T, class: Option<Class>, asked: Ring) {
        let waiting = Waiting { who, class };
        match asked == self.ring {
            true => self.asleep.push_back(waiting),
            // It rang in the meantime.
            false => self.due.push_back(waiting),
        }
    }

    /// Lets go of those who do not wait any more.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.due.retain(|waiting| stays(&waiting.who));
        self.asleep.retain(|waiting| stays(&waiting.who));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.asleep.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Class = Class(1);
    const B: Class = Class(2);

    fn names(line: &mut Line<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| line.next()).map(|waiting| waiting.who).collect()
    }

    /// A line in which everybody has asked in vain.
    fn asleep(who: &[(&'static str, Class)]) -> Line<&'static str> {
        let mut line = Line::new();
        for (name, class) in who {
            line.wait_on(*name, Some(*class), line.now());
        }
        line
    }

    #[test]
    fn nobody_asks_twice_between_two_rings() {
        let mut line = asleep(&[("ann", A), ("raj", B)]);
        assert!(names(&mut line).is_empty());
        line.ring();
        assert_eq!(names(&mut line), ["ann", "raj"]);
    }

    #[test]
    fn when_one_of_a_class_went_away_empty_the_others_need_not_ask() {
        let mut line = asleep(&[("ann", A), ("raj", B), ("mei", A)]);
        line.ring();
        let asked = line.now();
        let first = line.next().unwrap();
        line.exhausted(A, asked);
        line.wait_on(first.who, Some(A), asked);
        assert_eq!(names(&mut line), ["raj"]);
        line.ring();
        assert_eq!(names(&mut line), ["ann", "mei"], "they are asked again at the next ring");
    }

    #[test]
    fn a_newcomer_of_a_class_for_which_there_is_nothing_waits_for_the_next_ring() {
        let mut line = asleep(&[("ann", A)]);
        line.exhausted(A, line.now());
        line.join("raj", Some(A));
        line.join("mei", None);
        assert_eq!(names(&mut line), ["mei"]);
        line.ring();
        assert_eq!(names(&mut line), ["ann", "raj"]);
    }

    #[test]
    fn a_ring_during_a_question_is_not_missed() {
        let mut line = asleep(&[("ann", A)]);
        line.ring();
        let asked = line.now();
        let first = line.next().unwrap();
        line.ring();
        line.exhausted(A, asked);
        line.wait_on(first.who, Some(A), asked);
        assert_eq!(names(&mut line), ["ann"]);
    }

    #[test]
    fn who_does_not_wait_any_more_is_let_go() {
        let mut line = asleep(&[("ann", A), ("raj", B)]);
        line.join("mei", None);
        line.retain(|who| *who != "ann");
        line.ring();
        assert_eq!(names(&mut line), ["mei", "raj"]);
        assert!(line.is_empty());
    }
}
