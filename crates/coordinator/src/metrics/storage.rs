//! Measurements of the database, the queue and the object store.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use mitosis_objects::ObjectError;
use mitosis_store::ops::packing::SmallArchiveSizes;
use mitosis_store::ops::tasks::QueueDepth;
use mitosis_store::{Observer, PoolStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets of times, in seconds. Few, since each operation has a series for each of them.
const BUCKETS: [f64; 8] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0];
/// The label of all groups that have no series of their own.
const OTHER: &str = "other";

type Level = Gauge<i64, AtomicI64>;
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    pool: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    operation: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    group: String,
}

/// What a coordinator measures of the services that it stores things in.
#[derive(Debug)]
pub(crate) struct StorageMetrics {
    operations: Times<OperationLabels>,
    connection_waits: Times<PoolLabels>,
    connections: Family<ConnectionLabels, Level>,
    waiting: Family<PoolLabels, Level>,
    object_errors: Family<ErrorLabels, Counter>,
    ready_tasks: Family<GroupLabels, Level>,
    inline_archives: Level,
    inline_archive_bytes: Level,
    packed_objects: Level,
    packed_object_bytes: Level,
    packed_archives: Level,
    packed_archive_bytes: Level,
}

fn times<L: Clone + Eq + std::hash::Hash>() -> Times<L> {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

impl StorageMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            operations: times(),
            connection_waits: times(),
            connections: Family::default(),
            waiting: Family::default(),
            object_errors: Family::default(),
            ready_tasks: Family::default(),
            inline_archives: Level::default(),
            inline_archive_bytes: Level::default(),
            packed_objects: Level::default(),
            packed_object_bytes: Level::default(),
            packed_archives: Level::default(),
            packed_archive_bytes: Level::default(),
        };
        registry.register(
            "store_operation_seconds",
            "Time of operations on the database, with waiting for a connection",
            metrics.operations.clone(),
        );
        registry.register(
            "database_connection_wait_seconds",
            "Time that operations waited for a connection, by pool",
            metrics.connection_waits.clone(),
        );
        registry.register(
            "database_connections",
            "Connections by pool and state: idle, used, or free to be opened",
            metrics.connections.clone(),
        );
        registry.register(
            "database_connection_waiting",
            "Operations that wait for a connection now, by pool",
            metrics.waiting.clone(),
        );
        registry.register(
            "object_store_errors",
            "Failed operations on the object store, by kind of error",
            metrics.object_errors.clone(),
        );
        registry.register(
            "ready_tasks",
            "Tasks that wait for a worker, of the groups with the longest queues, and of all others",
            metrics.ready_tasks.clone(),
        );
        for (name, help, level) in [
            ("inline_archives", "Small archives in the database", &metrics.inline_archives),
            ("inline_archive_bytes", "Their bytes in the database", &metrics.inline_archive_bytes),
            ("packed_objects", "Objects that contain many small archives", &metrics.packed_objects),
            ("packed_object_bytes", "Bytes of these objects", &metrics.packed_object_bytes),
            ("packed_archives", "Small archives in these objects", &metrics.packed_archives),
            ("packed_archive_bytes", "Bytes of these archives", &metrics.packed_archive_bytes),
        ] {
            registry.register(name, help, level.clone());
        }
        metrics
    }

    /// Sets what small archives take up.
    pub(crate) fn set_small_archives(&self, sizes: &SmallArchiveSizes) {
        for (gauge, value) in [
            (&self.inline_archives, sizes.inline_archives),
            (&self.inline_archive_bytes, sizes.inline_bytes),
            (&self.packed_objects, sizes.packed_objects),
            (&self.packed_object_bytes, sizes.packed_bytes),
            (&self.packed_archives, sizes.packed_archives),
            (&self.packed_archive_bytes, sizes.packed_live_bytes),
        ] {
            gauge.set(level(value));
        }
    }

    /// Counts a failed operation on the object store.
    pub(crate) fn object_error(&self, operation: &'static str, error: &ObjectError) {
        self.object_errors.get_or_create(&ErrorLabels { operation, kind: error.kind() }).inc();
    }

    /// Replaces the lengths of the queues.
    pub(crate) fn set_queue_depth(&self, depth: &QueueDepth) {
        self.ready_tasks.clear();
        let others = (OTHER.to_owned(), depth.others);
        for (group, tasks) in depth.groups.iter().chain([&others]) {
            // A group may have the name of the rest.
            self.ready_tasks.get_or_create(&GroupLabels { group: group.clone() }).inc_by(level(*tasks));
        }
    }

    pub(super) fn set_pools(&self, pools: &[PoolStatus]) {
        for PoolStatus { name: pool, max, open, idle, waiting } in pools.iter().copied() {
            let states = [("idle", idle), ("used", open - idle.min(open)), ("free", max - open.min(max))];
            for (state, count) in states {
                self.connections.get_or_create(&ConnectionLabels { pool, state }).set(level(count));
            }
            self.waiting.get_or_create(&PoolLabels { pool }).set(level(waiting));
        }
    }
}

impl Observer for StorageMetrics {
    fn operation(&self, operation: &'static str, took: Duration) {
        self.operations.get_or_create(&OperationLabels { operation }).observe(took.as_secs_f64());
    }

    fn connection_wait(&self, pool: &'static str, waited: Duration) {
        self.connection_waits.get_or_create(&PoolLabels { pool }).observe(waited.as_secs_f64());
    }
}

fn level(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn queue_depth_replaces_the_one_before() {
        let mut registry = Registry::default();
        let metrics = StorageMetrics::register(&mut registry);
        let depth = |name: &str, others| QueueDepth { groups: vec![(name.to_owned(), 7)], others };
        metrics.set_queue_depth(&depth("before", 1));
        metrics.set_queue_depth(&depth("lab", 3));
        let found = text(&registry);
        assert!(found.contains("ready_tasks{group=\"lab\"} 7\n"), "{found}");
        assert!(found.contains("ready_tasks{group=\"other\"} 3\n"), "{found}");
        assert!(!found.contains("before"), "{found}");
        metrics.set_queue_depth(&depth("other", 3));
        assert!(text(&registry).contains("ready_tasks{group=\"other\"} 10\n"));
    }

    #[test]
    fn connections_of_a_pool_add_up() {
        let mut registry = Registry::default();
        let metrics = StorageMetrics::register(&mut registry);
        metrics.set_pools(&[PoolStatus { name: "users", max: 4, open: 3, idle: 1, waiting: 2 }]);
        metrics.operation("submit", Duration::from_millis(2));
        let found = text(&registry);
        for line in [
            r#"database_connections{pool="users",state="idle"} 1"#,
            r#"database_connections{pool="users",state="used"} 2"#,
            r#"database_connections{pool="users",state="free"} 1"#,
            r#"database_connection_waiting{pool="users"} 2"#,
            r#"store_operation_seconds_bucket{le="0.001",operation="submit"} 0"#,
            r#"store_operation_seconds_bucket{le="0.003",operation="submit"} 1"#,
            r#"store_operation_seconds_count{operation="submit"} 1"#,
        ] {
            assert!(found.lines().any(|other| other == line), "{line} is not in {found}");
        }
    }
}
