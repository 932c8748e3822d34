//! Counters of this coordinator, in the text format of OpenMetrics.
//!
//! Labels take values from fixed sets (routes as declared, status codes, names of passes and operations), or, for
//! groups, from the top of a list, so that no caller can create any number of series. Counting a task costs a few atomic
//! additions.

pub(crate) mod listener;
pub(crate) mod scrape;
mod storage;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use http::{Method, StatusCode};
use mitosis_background::TaskStatus;
use mitosis_store::{Observer, PoolStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::storage::StorageMetrics;
use crate::api::routes;
use crate::failure_log::FailureKind;

/// What [`Metrics::encode`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The route of requests that no route matches.
const UNMATCHED: &str = "unmatched";

type Seconds = Counter<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    pass: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: &'static str,
}

/// The counters of one coordinator.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// The database, the queue and the object store.
    pub(crate) storage: Arc<StorageMetrics>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Seconds>,
    request_failures: Family<FailureLabels, Counter>,
    /// Tasks assigned to workers.
    pub(crate) claimed: Counter,
    /// Attempts that ended with a result.
    pub(crate) completed: Counter,
    /// Tasks taken back from lost workers.
    pub(crate) requeued: Counter,
    /// Workers removed because they were silent, or held a task for too long.
    pub(crate) lost_workers: Counter,
    /// Polls of agents that wait for a task.
    pub(crate) waiting_polls: Gauge<i64, AtomicI64>,
    /// Transactions in which agents report and claim.
    pub(crate) exchanges: Counter,
    exchange_seconds: Seconds,
    missed_workers: Gauge<i64, AtomicI64>,
    notifications: Family<OutcomeLabels, Counter>,
    passes: Family<PassLabels, Counter>,
    pass_seconds: Family<TaskLabels, Seconds>,
    restarts: Family<TaskLabels, Gauge<i64, AtomicI64>>,
    failing: Family<TaskLabels, Gauge<i64, AtomicI64>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("mitosis");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the coordinator", build);
        let storage = Arc::new(StorageMetrics::register(&mut registry));
        let mut metrics = Self {
            registry,
            storage,
            requests: Family::default(),
            request_seconds: Family::default(),
            request_failures: Family::default(),
            claimed: Counter::default(),
            completed: Counter::default(),
            requeued: Counter::default(),
            lost_workers: Counter::default(),
            waiting_polls: Gauge::default(),
            exchanges: Counter::default(),
            exchange_seconds: Seconds::default(),
            missed_workers: Gauge::default(),
            notifications: Family::default(),
            passes: Family::default(),
            pass_seconds: Family::default(),
            restarts: Family::default(),
            failing: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
        registry.register(
            "http_request_seconds",
            "Time until HTTP requests were answered, held requests included",
            self.request_seconds.clone(),
        );
        registry.register(
            "request_failures",
            "Requests that failed because of the service, by kind: outage or defect",
            self.request_failures.clone(),
        );
        registry.register("tasks_claimed", "Tasks assigned to workers", self.claimed.clone());
        registry.register("tasks_completed", "Attempts that ended with a result", self.completed.clone());
        registry.register("tasks_requeued", "Tasks taken back from lost workers", self.requeued.clone());
        registry.register("workers_lost", "Workers removed after a lost lease", self.lost_workers.clone());
        registry.register(
            "waiting_polls",
            "Polls of agents that wait for a task",
            self.waiting_polls.clone(),
        );
        registry.register(
            "exchanges",
            "Transactions in which agents report and claim",
            self.exchanges.clone(),
        );
        registry.register(
            "exchange_seconds",
            "Time of these transactions, with waiting for a connection",
            self.exchange_seconds.clone(),
        );
        registry.register(
            "missed_workers",
            "Workers that are silent and get no new tasks",
            self.missed_workers.clone(),
        );
        registry.register(
            "notifications",
            "Requests about ended jobs, by outcome: delivered, failed or abandoned",
            self.notifications.clone(),
        );
        registry.register("background_passes", "Runs of periodic tasks, by outcome", self.passes.clone());
        registry.register("background_pass_seconds", "Time of these runs", self.pass_seconds.clone());
        registry.register(
            "background_task_restarts",
            "Restarts of background tasks since the start",
            self.restarts.clone(),
        );
        registry.register(
            "background_task_failing",
            "1 while a background task keeps failing",
            self.failing.clone(),
        );
    }

    /// What observes the store.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.storage.clone()
    }

    /// Counts an answered request; `path` is that of its route as declared.
    pub(crate) fn request(&self, method: &Method, path: Option<&str>, status: StatusCode, took: Duration) {
        let (method, route) = path.and_then(|path| routes::declared(method, path)).unwrap_or(("", UNMATCHED));
        self.requests.get_or_create(&RequestLabels { method, route, status: status.as_u16() }).inc();
        self.request_seconds.get_or_create(&RouteLabels { method, route }).inc_by(took.as_secs_f64());
    }

    /// Counts a request that failed because of the service.
    pub(crate) fn failure(&self, kind: FailureKind) {
        let kind = match kind {
            FailureKind::Outage => "outage",
            FailureKind::Defect => "defect",
        };
        self.request_failures.get_or_create(&FailureLabels { kind }).inc();
    }

    /// Counts a transaction of the dispatcher.
    pub(crate) fn exchange(&self, took: Duration) {
        self.exchanges.inc();
        self.exchange_seconds.inc_by(took.as_secs_f64());
    }

    /// Counts a request about an ended job.
    pub(crate) fn notification(&self, outcome: &'static str) {
        self.notifications.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a run of a periodic task.
    pub(crate) fn pass(&self, pass: &'static str, took: Duration, succeeded: bool) {
        let outcome = if succeeded { "ok" } else { "error" };
        self.passes.get_or_create(&PassLabels { pass, outcome }).inc();
        self.pass_seconds.get_or_create(&TaskLabels { task: pass }).inc_by(took.as_secs_f64());
    }

    /// All counters as text, with these states of the moment.
    pub(crate) fn encode(
        &self,
        tasks: &[TaskStatus],
        missed_workers: u64,
        pools: &[PoolStatus],
    ) -> Result<String, std::fmt::Error> {
        self.storage.set_pools(pools);
        self.missed_workers.set(i64::try_from(missed_workers).unwrap_or(i64::MAX));
        for TaskStatus { name, restarts, is_failing } in tasks {
            let labels = TaskLabels { task: name };
            self.restarts.get_or_create(&labels).set(i64::try_from(*restarts).unwrap_or(i64::MAX));
            self.failing.get_or_create(&labels).set(i64::from(*is_failing));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded_by_the_declared_routes() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(500);
        metrics.request(&Method::GET, Some("/tasks/{uuid}"), StatusCode::OK, took);
        metrics.request(&Method::HEAD, Some("/tasks/{uuid}"), StatusCode::OK, took);
        for path in [None, Some("/made/up")] {
            metrics.request(&Method::PATCH, path, StatusCode::NOT_FOUND, took);
        }
        let text = metrics.encode(&[], 3, &[]).unwrap();
        for line in [
            r#"mitosis_http_requests_total{method="GET",route="/tasks/{uuid}",status="200"} 2"#,
            r#"mitosis_http_requests_total{method="",route="unmatched",status="404"} 2"#,
            r#"mitosis_http_request_seconds_total{method="GET",route="/tasks/{uuid}"} 1.0"#,
            "mitosis_missed_workers 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn background_tasks_are_reported() {
        let metrics = Metrics::new();
        metrics.pass("garbage", Duration::from_secs(2), false);
        let status = TaskStatus { name: "garbage", restarts: 7, is_failing: true };
        let text = metrics.encode(&[status], 0, &[]).unwrap();
        for line in [
            r#"mitosis_background_passes_total{pass="garbage",outcome="error"} 1"#,
            r#"mitosis_background_task_restarts{task="garbage"} 7"#,
            r#"mitosis_background_task_failing{task="garbage"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
