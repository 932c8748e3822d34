//! Named points at which a test lets a process abort, as in a crash.
//!
//! They exist only in builds with debug assertions.

/// All points: a step, and whether the point is before or after it.
pub const POINTS: [&str; 50] = [
    "submit.task_rows:before",
    "submit.task_rows:after",
    "submit.commit:before",
    "submit.commit:after",
    "submit.reply:before",
    "claim.lease:before",
    "claim.lease:after",
    "claim.commit:before",
    "claim.commit:after",
    "claim.reply:before",
    "poll.parked:before",
    "poll.parked:after",
    "renew.flush:before",
    "renew.flush:after",
    "complete.delete:before",
    "complete.delete:after",
    "complete.commit:before",
    "complete.commit:after",
    "complete.reply:before",
    "artifact.url_issued:before",
    "artifact.url_issued:after",
    "artifact.commit:before",
    "artifact.commit:after",
    "cancel.marked:before",
    "cancel.marked:after",
    "cancel.delivered:before",
    "reap.session_delete:before",
    "reap.session_delete:after",
    "follow_up.release:before",
    "follow_up.release:after",
    "pass.run:before",
    "notify.record:before",
    "pack.reserve:before",
    "pack.reserve:after",
    "pack.put:before",
    "pack.put:after",
    "pack.move:before",
    "pack.move:after",
    "migrate.steps:before",
    "migrate.steps:after",
    "shutdown.drain:before",
    "shutdown.drain:after",
    "worker.task_spawned:before",
    "worker.task_spawned:after",
    "worker.report:before",
    "worker.report:after",
    "sqlite.savepoint:before",
    "sqlite.savepoint:after",
    "sqlite.commit:before",
    "sqlite.commit:after",
];

/// Lets the process abort at the given hit of a point, such as `claim.commit:after@3`. Hits count from 1; the
/// setting can't be changed. With the prefix `panic:`, the thread panics instead, and with the hit `*`, at every
/// hit.
#[cfg(debug_assertions)]
pub fn arm(order: &str) {
    armed::arm(order);
}

/// Marks a point that the process passes.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Armed {
        name: String,
        /// Every hit without it.
        at: Option<u32>,
        panics: bool,
        hits: AtomicU32,
    }

    impl Armed {
        fn is_due(&self, hit: u32) -> bool {
            self.at.is_none_or(|at| at == hit)
        }
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    pub(super) fn arm(order: &str) {
        let (panics, point) = match order.strip_prefix("panic:") {
            Some(point) => (true, point),
            None => (false, order),
        };
        let (name, at) = point.split_once('@').unwrap_or((point, "1"));
        let at = (at != "*").then(|| at.parse().unwrap_or(1));
        let armed = Armed { name: name.to_owned(), at, panics, hits: AtomicU32::new(0) };
        // Only the first call has an effect.
        let _ = ARMED.set(armed);
    }

    pub(super) fn pass(name: &str) {
        if let Some(armed) = ARMED.get()
            && armed.name == name
            && armed.is_due(armed.hits.fetch_add(1, Ordering::SeqCst) + 1)
        {
            assert!(!armed.panics, "a test has {name} panic");
            std::process::abort();
        }
    }
}
