//! Shows users, groups, workers and use of a site, for its administrators.

use mitosis_protocol::admin::{AccountState, GroupSummary, SiteWorker, UsageCounts, UserSummary};
use mitosis_protocol::worker::WorkerState;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::Tone;

/// Seconds of an hour.
const HOUR: u64 = 3_600;

/// A user of the site.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct SiteUser(UserSummary);

impl From<UserSummary> for SiteUser {
    fn from(user: UserSummary) -> Self {
        Self(user)
    }
}

fn state(state: AccountState) -> Cell {
    let tone = if state == AccountState::Active { Tone::Good } else { Tone::Bad };
    Cell::Toned(format!("{state:?}"), tone)
}

impl SiteUser {
    fn last_login(&self) -> Cell {
        self.0.last_login_at.map_or(Cell::Nothing, Cell::Time)
    }
}

impl Record for SiteUser {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", |user| state(user.0.state)),
        Column::new("admin", |user| if user.0.admin { Cell::text("admin") } else { Cell::Nothing }),
        Column::new("groups", |user| Cell::Text(format!("{}/{}", user.0.group_count, user.0.group_quota))),
        Column::new("created", |user| Cell::Time(user.0.created_at)),
        Column::new("last login", Self::last_login),
        Column::new("user", |user| Cell::text(&user.0.username)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("username", |user| Cell::text(&user.0.username)),
        Column::new("admin", |user| Cell::text(user.0.admin)),
        Column::new("state", |user| Cell::Text(format!("{:?}", user.0.state))),
        Column::new("group_quota", |user| Cell::number(user.0.group_quota)),
        Column::new("group_count", |user| Cell::number(user.0.group_count)),
        Column::new("created_at", |user| Cell::Time(user.0.created_at)),
        Column::new("last_login_at", Self::last_login),
    ];

    fn id(&self) -> String {
        self.0.username.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        Self::TABLE.iter().map(|column| (column.title(), column.of(self))).collect()
    }
}

/// A group of the site.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct SiteGroup(GroupSummary);

impl From<GroupSummary> for SiteGroup {
    fn from(group: GroupSummary) -> Self {
        Self(group)
    }
}

impl Record for SiteGroup {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", |group| state(group.0.state)),
        Column::new("members", |group| Cell::text(group.0.members)),
        Column::new("tasks", |group| Cell::text(group.0.tasks)),
        Column::new("stored", |group| Cell::Size(group.0.storage_used)),
        Column::new("quota", |group| Cell::Size(group.0.storage_quota)),
        Column::new("weight", |group| Cell::text(group.0.weight)),
        Column::new("creator", |group| Cell::text(&group.0.creator_username)),
        Column::new("group", |group| Cell::text(&group.0.group_name)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("group_name", |group| Cell::text(&group.0.group_name)),
        Column::new("creator_username", |group| Cell::text(&group.0.creator_username)),
        Column::new("state", |group| Cell::Text(format!("{:?}", group.0.state))),
        Column::new("members", |group| Cell::text(group.0.members)),
        Column::new("tasks", |group| Cell::text(group.0.tasks)),
        Column::new("storage_quota", |group| Cell::Size(group.0.storage_quota)),
        Column::new("weight", |group| Cell::text(group.0.weight)),
        Column::new("storage_used", |group| Cell::Size(group.0.storage_used)),
        Column::new("created_at", |group| Cell::Time(group.0.created_at)),
    ];

    fn id(&self) -> String {
        self.0.group_name.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        Self::TABLE.iter().map(|column| (column.title(), column.of(self))).collect()
    }
}

/// A worker of the site.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct SiteWorkerShown(SiteWorker);

impl From<SiteWorker> for SiteWorkerShown {
    fn from(worker: SiteWorker) -> Self {
        Self(worker)
    }
}

impl SiteWorkerShown {
    pub(crate) fn info(&self) -> &SiteWorker {
        &self.0
    }

    fn state(&self) -> Cell {
        let worker = &self.0.worker;
        if worker.drain_reason.is_some() && !worker.missed {
            return Cell::Toned("Drained".to_owned(), Tone::Busy);
        }
        match (worker.missed, worker.state) {
            (true, state) => Cell::Toned(format!("{state:?}, missed"), Tone::Bad),
            (false, WorkerState::Normal) => Cell::Toned("Normal".to_owned(), Tone::Good),
            (false, state) => Cell::Toned(format!("{state:?}"), Tone::Busy),
        }
    }
}

impl Record for SiteWorkerShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", Self::state),
        Column::new("held", |worker| Cell::text(worker.0.held_tasks)),
        Column::new("slots", |worker| Cell::text(worker.0.slots)),
        Column::new("creator", |worker| Cell::text(&worker.0.worker.creator_username)),
        Column::shrinkable(1, "host", |worker| Cell::optional(worker.0.worker.host.as_ref())),
        Column::shrinkable(1, "tags", |worker| Cell::Words(worker.0.worker.tags.clone())),
        Column::shrinkable(2, "labels", |worker| Cell::Words(worker.0.worker.labels.clone())),
        Column::new("heartbeat", |worker| Cell::Age(worker.0.worker.last_heartbeat)),
        Column::new("uuid", |worker| Cell::text(worker.0.worker.worker_id)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("worker_id", |worker| Cell::text(worker.0.worker.worker_id)),
        Column::new("creator_username", |worker| Cell::text(&worker.0.worker.creator_username)),
        Column::new("state", |worker| Cell::Text(format!("{:?}", worker.0.worker.state))),
        Column::new("slots", |worker| Cell::text(worker.0.slots)),
        Column::new("held_tasks", |worker| Cell::text(worker.0.held_tasks)),
        Column::new("tags", |worker| Cell::Words(worker.0.worker.tags.clone())),
        Column::new("labels", |worker| Cell::Words(worker.0.worker.labels.clone())),
        Column::new("created_at", |worker| Cell::Time(worker.0.worker.created_at)),
        Column::new("last_heartbeat", |worker| Cell::Time(worker.0.worker.last_heartbeat)),
        Column::new("assigned_task_id", |worker| Cell::optional(worker.0.worker.assigned_task_id)),
        Column::new("missed", |worker| Cell::text(worker.0.worker.missed)),
        Column::new("host", |worker| Cell::optional(worker.0.worker.host.as_ref())),
    ];

    fn id(&self) -> String {
        self.0.worker.worker_id.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        Self::TABLE.iter().map(|column| (column.title(), column.of(self))).collect()
    }
}

/// What a user has used in a group, or one of them in total.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UsageShown {
    /// The user; left out if this is about a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The group; left out if this is about a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(flatten)]
    counts: UsageCounts,
}

impl UsageShown {
    pub(crate) fn new(username: Option<String>, group_name: Option<String>) -> Self {
        Self { username, group_name, counts: UsageCounts::default() }
    }

    pub(crate) fn add(&mut self, counts: &UsageCounts) {
        self.counts.add(counts);
    }

    pub(crate) fn slot_seconds(&self) -> u64 {
        self.counts.slot_seconds
    }

    fn slot_hours(&self) -> Cell {
        hours(self.counts.slot_seconds)
    }

    fn cpu_hours(&self) -> Cell {
        hours(self.counts.cpu_seconds)
    }

    fn user(&self) -> Cell {
        self.username.as_ref().map_or(Cell::Nothing, Cell::text)
    }

    fn group(&self) -> Cell {
        self.group_name.as_ref().map_or(Cell::Nothing, Cell::text)
    }
}

/// Hours with one digit after the point.
fn hours(seconds: u64) -> Cell {
    let tenths = seconds * 10 / HOUR;
    Cell::Text(format!("{}.{}", tenths / 10, tenths % 10))
}

impl Record for UsageShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("slot hours", Self::slot_hours),
        Column::new("cpu hours", Self::cpu_hours),
        Column::new("succeeded", |usage| Cell::text(usage.counts.succeeded)),
        Column::new("failed", |usage| Cell::nonzero(usage.counts.failed, Tone::Bad)),
        Column::new("timed out", |usage| Cell::nonzero(usage.counts.timed_out, Tone::Bad)),
        Column::new("cancelled", |usage| Cell::nonzero(usage.counts.cancelled, Tone::Plain)),
        Column::new("user", Self::user),
        Column::new("group", Self::group),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("username", Self::user),
        Column::new("group_name", Self::group),
        Column::new("slot_seconds", |usage| Cell::text(usage.counts.slot_seconds)),
        Column::new("cpu_seconds", |usage| Cell::text(usage.counts.cpu_seconds)),
        Column::new("succeeded", |usage| Cell::text(usage.counts.succeeded)),
        Column::new("failed", |usage| Cell::text(usage.counts.failed)),
        Column::new("timed_out", |usage| Cell::text(usage.counts.timed_out)),
        Column::new("cancelled", |usage| Cell::text(usage.counts.cancelled)),
    ];

    fn id(&self) -> String {
        let both = [&self.username, &self.group_name].into_iter().flatten();
        both.map(String::as_str).collect::<Vec<_>>().join("/")
    }

    fn facts(&self) -> Vec<Fact> {
        Self::TABLE.iter().map(|column| (column.title(), column.of(self))).collect()
    }
}
