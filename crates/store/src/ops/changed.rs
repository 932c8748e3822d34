//! What the commit of an operation means to others: who waits for it and has to look again.
//!
//! Effects are collected where rows change, inside the transaction, so that no caller has to know which operation
//! wakes whom. They are hints, and no part of the truth: one that gets lost costs a wait.

use mitosis_domain::ids::JobId;
use uuid::Uuid;

/// The answer of an operation that changed something, together with the effects of its commit. The coordinator
/// publishes the effects and continues with the value.
#[must_use = "publish its effects: others wait for them"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<T> {
    value: T,
    effects: Effects,
}

/// Who has to look again after a commit. Without effects, it holds no memory.
#[must_use = "these effects are not published"]
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Effects {
    /// Tasks became Ready, or a worker may run others than before: those who wait for tasks ask again.
    pub ready: bool,
    /// Tasks moved to another state, or their attempts reported something: streams of events look again.
    pub moved: bool,
    /// Tasks that were cancelled, or whose attempt ended: those who follow their output look again.
    pub ended: Vec<Uuid>,
    /// Workers that have to compare what they hold with the store, or are gone.
    pub workers: Vec<Uuid>,
    /// Memberships changed: what is remembered of them does not count any more.
    pub memberships: bool,
    /// Jobs whose counts or settings changed: their next step is planned, and their streams are read again.
    pub jobs: Vec<JobId>,
}

impl<T> Changed<T> {
    /// An answer with effects.
    pub const fn new(value: T, effects: Effects) -> Self {
        Self { value, effects }
    }

    /// An answer without effects: the operation did nothing that others wait for.
    pub fn nothing(value: T) -> Self {
        Self::new(value, Effects::default())
    }

    /// The answer and the effects, for the one place that publishes them.
    pub fn into_parts(self) -> (T, Effects) {
        (self.value, self.effects)
    }

    /// The answer; its effects are not published. For tests, and for programs without waiting callers.
    pub fn discard(self, _reason: &str) -> T {
        self.value
    }

    /// The answer, inside the operation.
    pub(crate) const fn value(&self) -> &T {
        &self.value
    }

    /// Another answer with the same effects.
    pub(crate) fn map<U>(self, read: impl FnOnce(T) -> U) -> Changed<U> {
        Changed::new(read(self.value), self.effects)
    }
}

impl Effects {
    /// Tasks became Ready, or a worker may run others than before.
    pub(crate) fn ready() -> Self {
        Self { ready: true, ..Self::default() }
    }

    /// Tasks moved to another state.
    pub(crate) fn moved() -> Self {
        Self { moved: true, ..Self::default() }
    }

    /// These tasks moved to the end, none perhaps.
    pub(crate) fn ended(tasks: Vec<Uuid>) -> Self {
        Self { moved: !tasks.is_empty(), ended: tasks, ..Self::default() }
    }

    /// These jobs changed.
    pub(crate) fn jobs(jobs: Vec<JobId>) -> Self {
        Self { jobs, ..Self::default() }
    }

    /// Keeps the effects of a part of the operation; answers its value.
    pub(crate) fn keep<T>(&mut self, part: Changed<T>) -> T {
        self.add(part.effects);
        part.value
    }

    /// Adds the effects of a part of the operation.
    pub(crate) fn add(&mut self, Self { ready, moved, mut ended, mut workers, memberships, mut jobs }: Self) {
        self.ready |= ready;
        self.moved |= moved;
        self.memberships |= memberships;
        self.ended.append(&mut ended);
        self.workers.append(&mut workers);
        self.jobs.append(&mut jobs);
    }

    /// Together with the answer of the operation.
    pub(crate) const fn with<T>(self, value: T) -> Changed<T> {
        Changed::new(value, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_of_parts_add_up() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut effects = Effects::ended(vec![one]);
        assert_eq!(effects.keep(Effects::ready().with(7)), 7);
        effects.add(Effects { workers: vec![two], ..Effects::ended(vec![two]) });
        effects.add(Effects { memberships: true, ..Effects::jobs(vec![JobId(3)]) });
        let (ended, workers) = (vec![one, two], vec![two]);
        let all =
            Effects { ready: true, moved: true, ended, workers, memberships: true, jobs: vec![JobId(3)] };
        assert_eq!(effects, all);
        effects.keep(Changed::nothing(()));
        assert_eq!(effects, all);
    }

    #[test]
    fn end_of_no_task_has_no_effects() {
        assert_eq!(Effects::ended(Vec::new()), Effects::default());
    }
}
