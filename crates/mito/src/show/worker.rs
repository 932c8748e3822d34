//! Shows workers.

use std::collections::BTreeMap;

use mitosis_domain::explain::placement::describe_offer;
use mitosis_protocol::worker::{WorkerFacts, WorkerInfo, WorkerState};
use mitosis_protocol::{Role, duration};
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::Tone;

/// A worker with its groups.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WorkerShown {
    #[serde(flatten)]
    info: WorkerInfo,
    /// The groups and their roles on the worker; only when one worker is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<BTreeMap<String, Role>>,
    /// The group of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
}

impl WorkerShown {
    pub(crate) fn with_groups(info: WorkerInfo, groups: BTreeMap<String, Role>) -> Self {
        Self { info, groups: Some(groups), group_name: None }
    }

    pub(crate) fn of_group(info: WorkerInfo, group: &str) -> Self {
        Self { info, groups: None, group_name: Some(group.to_owned()) }
    }

    /// The free processors and GPUs, of those that it offers.
    fn free(&self) -> Option<String> {
        let (offer, free) = (self.info.offer.as_ref()?, self.info.free.as_ref()?);
        let cpus = format!("{}/{} cpus", free.cpus, offer.cpus);
        Some(match offer.gpus {
            0 => cpus,
            gpus => format!("{cpus}, {}/{gpus} gpus", free.gpus),
        })
    }

    fn state(&self) -> Cell {
        if self.info.missed {
            return Cell::Toned(format!("{:?}, missed", self.info.state), Tone::Bad);
        }
        if self.info.drain_reason.is_some() {
            return Cell::Toned("Drained".to_owned(), Tone::Busy);
        }
        let tone = match self.info.state {
            WorkerState::Normal => Tone::Good,
            WorkerState::GracefulShutdown => Tone::Busy,
        };
        Cell::Toned(format!("{:?}", self.info.state), tone)
    }
}

impl WorkerShown {
    fn fact<T: std::fmt::Display>(&self, fact: impl Fn(&WorkerFacts) -> Option<T>) -> Cell {
        self.info.facts.as_ref().and_then(fact).map_or(Cell::Nothing, Cell::text)
    }
}

impl Record for WorkerShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", Self::state),
        Column::new("creator", |worker| Cell::text(&worker.info.creator_username)),
        Column::shrinkable(1, "host", |worker| Cell::optional(worker.info.host.as_ref())),
        Column::shrinkable(2, "free", |worker| worker.free().map_or(Cell::Nothing, Cell::Text)),
        Column::shrinkable(1, "tags", |worker| Cell::Words(worker.info.tags.clone())),
        Column::shrinkable(2, "labels", |worker| Cell::Words(worker.info.labels.clone())),
        Column::new("heartbeat", |worker| Cell::Time(worker.info.last_heartbeat)),
        Column::shrinkable(1, "task", |worker| Cell::optional(worker.info.assigned_task_id)),
        Column::new("uuid", |worker| Cell::text(worker.info.worker_id)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("worker_id", |worker| Cell::text(worker.info.worker_id)),
        Column::new("creator_username", |worker| Cell::text(&worker.info.creator_username)),
        Column::new("state", |worker| Cell::Text(format!("{:?}", worker.info.state))),
        Column::new("tags", |worker| Cell::Words(worker.info.tags.clone())),
        Column::new("labels", |worker| Cell::Words(worker.info.labels.clone())),
        Column::new("created_at", |worker| Cell::Time(worker.info.created_at)),
        Column::new("updated_at", |worker| Cell::Time(worker.info.updated_at)),
        Column::new("last_heartbeat", |worker| Cell::Time(worker.info.last_heartbeat)),
        Column::new("assigned_task_id", |worker| Cell::optional(worker.info.assigned_task_id)),
        Column::new("missed", |worker| Cell::text(worker.info.missed)),
        Column::new("lost_at", |worker| worker.info.lost_at.map_or(Cell::Nothing, Cell::Time)),
        Column::new("lost_after", |worker| {
            worker.info.lost_after.map_or(Cell::Nothing, |limit| Cell::Text(duration::short(limit)))
        }),
        Column::new("host", |worker| Cell::optional(worker.info.host.as_ref())),
        Column::new("version", |worker| worker.fact(|facts| facts.version.clone())),
        Column::new("isolation", |worker| worker.fact(|facts| facts.isolation.clone())),
        Column::new("free_space", |worker| worker.fact(|facts| facts.free_space)),
        Column::new("drain_reason", |worker| Cell::optional(worker.info.drain_reason.as_ref())),
        Column::new("offer", |worker| {
            worker.info.offer.as_ref().map_or(Cell::Nothing, |offer| Cell::Text(describe_offer(offer)))
        }),
        Column::new("free", |worker| {
            worker.info.free.as_ref().map_or(Cell::Nothing, |free| Cell::Text(describe_offer(free)))
        }),
        Column::new("ends_at", |worker| worker.info.ends_at.map_or(Cell::Nothing, Cell::Time)),
    ];

    fn id(&self) -> String {
        self.info.worker_id.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        let worker = &self.info;
        let mut facts = vec![("uuid", Cell::text(worker.worker_id))];
        facts.extend(worker.host.as_ref().map(|host| ("host", Cell::text(host))));
        facts.extend([
            ("tags", Cell::Words(worker.tags.clone())),
            ("labels", Cell::Words(worker.labels.clone())),
            ("state", self.state()),
            ("creator", Cell::text(&worker.creator_username)),
            ("created", Cell::Time(worker.created_at)),
            ("updated", Cell::Time(worker.updated_at)),
            ("heartbeat", Cell::Time(worker.last_heartbeat)),
            ("task", worker.assigned_task_id.map_or_else(|| Cell::text("none"), Cell::text)),
        ]);
        facts.extend(worker.drain_reason.as_ref().map(|reason| ("drained", Cell::text(reason))));
        if let Some(said) = &worker.facts {
            facts.extend(said.version.as_ref().map(|version| ("version", Cell::text(version))));
            facts.extend(said.isolation.as_ref().map(|level| ("isolation", Cell::text(level))));
            let free = said.free_space.map(|free| i64::try_from(free).unwrap_or(i64::MAX));
            facts.extend(free.map(|free| ("free space", Cell::Size(free))));
        }
        facts.extend(worker.offer.as_ref().map(|offer| ("offers", Cell::Text(describe_offer(offer)))));
        facts.extend(worker.free.as_ref().map(|free| ("free", Cell::Text(describe_offer(free)))));
        facts.extend(worker.ends_at.map(|at| ("ends", Cell::Time(at))));
        facts.extend(worker.lost_after.map(|limit| ("lost after", Cell::Text(duration::short(limit)))));
        facts.extend(worker.lost_at.map(|at| ("lost at", Cell::Time(at))));
        facts.extend(self.group_name.iter().map(|group| ("group", Cell::text(group))));
        let groups = self.groups.iter().flatten();
        facts.extend(groups.map(|(group, role)| ("group", Cell::Text(format!("{group} {role:?}")))));
        facts
    }
}
