//! The table of all routes and their required permissions.

use mitosis_protocol::Role::{Admin, Read, Write};

use super::Needs;
use super::Needs::{
    AnyUser, AnyWorker, Counted, Holder, Member, MemberBut, NoWorker, Nothing, PasswordBut, PasswordUser,
    SiteAdmin, SiteAdminWithSecret, Unavailable,
};

/// The method, path, body, and required permission.
pub(crate) type Row = (&'static str, &'static str, &'static str, Needs);

const FILTER: &str = r#"{"group_name": "{group}", "content_type": "result"}"#;
const LIST: &str = r#"{"uuids": ["{task}"], "content_type": "result"}"#;
const KEYS: &str = r#"{"keys": ["file"]}"#;
const TASK: &str = r#"{"group_name": "{group}", "tags": [], "labels": [], "timeout": "90s", "priority": 0, "task_spec": {"args": ["true"]}}"#;
/// A submission to the personal group of the caller that refers to a task of the group.
const FETCHES: &str = r#"{"group_name": "{me}", "tags": [], "labels": [], "timeout": "90s", "priority": 0, "task_spec": {"args": ["true"], "resources": [{"remote_file": {"Artifact": {"uuid": "{task}", "content_type": "result"}}, "local_path": "x"}]}}"#;
const WATCHES: &str = r#"{"group_name": "{me}", "tags": [], "labels": [], "timeout": "90s", "priority": 0, "task_spec": {"args": ["true"], "watch": ["{task}", "TaskCommitted"]}}"#;

/// Accounts, administration, and public routes.
#[rustfmt::skip]
pub(super) const ACCOUNTS: &[Row] = &[
    ("GET", "/health", "", Nothing),
    ("GET", "/openapi.json", "", Nothing),
    ("GET", "/docs", "", Nothing),
    ("GET", "/", "", Nothing),
    ("GET", "/assets/icon.svg", "", Nothing),
    ("POST", "/login", "{login}", Nothing),
    ("POST", "/v1/web/login", "{web login}", Nothing),
    ("POST", "/v1/web/logout", "", Nothing),
    ("GET", "/v1/web/session", "", AnyUser),
    ("POST", "/v1/web/login-codes", "", PasswordUser),
    ("GET", "/auth", "", AnyUser),
    ("GET", "/redis", "", AnyUser),
    ("GET", "/v1/doctor", "", AnyUser),
    ("GET", "/users/groups", "", AnyUser),
    ("POST", "/users/ann/password", r#"{"old_md5_password": {md5}, "new_md5_password": {md5}}"#, PasswordBut(401)),
    ("POST", "/v1/tokens", r#"{"name": "x", "scope": "read", "lifetime": "1s"}"#, PasswordUser),
    ("GET", "/v1/tokens", "", PasswordUser),
    ("DELETE", "/v1/tokens/0", "", PasswordBut(404)),
    ("POST", "/admin/users", r#"{"username": "{fresh}", "md5_password": {md5}, "admin": false}"#, SiteAdmin),
    ("DELETE", "/admin/users/victim", "", SiteAdmin),
    ("POST", "/admin/users/victim/password", r#"{"new_md5_password": {md5}}"#, SiteAdmin),
    ("POST", "/admin/users/victim/group-quota", r#"{"group_quota": "+1"}"#, SiteAdmin),
    ("POST", "/admin/users/victim/state", r#"{"state": "Locked"}"#, SiteAdmin),
    ("POST", "/admin/groups/{group}/storage-quota", r#"{"storage_quota": "+1k"}"#, SiteAdmin),
    ("DELETE", "/admin/groups/{group}/attachments/file", "{file}", SiteAdmin),
    ("DELETE", "/admin/tasks/{task}/artifacts/result", "{archive}", SiteAdmin),
    ("DELETE", "/admin/workers/{worker}?op=force", "", SiteAdmin),
    ("PUT", "/v1/admin/groups/{group}/weight", r#"{"weight": 2}"#, SiteAdmin),
    ("PUT", "/v1/admin/groups/{group}/users", r#"{"relations": {"reader": "Read"}}"#, SiteAdmin),
    ("GET", "/v1/admin/audit?limit=1", "", SiteAdmin),
    ("GET", "/v1/admin/doctor", "", SiteAdmin),
    ("GET", "/v1/admin/users", "", SiteAdmin),
    ("GET", "/v1/admin/groups", "", SiteAdmin),
    ("GET", "/v1/admin/workers", "", SiteAdmin),
    ("GET", "/v1/admin/jobs", "", SiteAdmin),
    ("GET", "/v1/admin/usage", "", SiteAdmin),
    ("GET", "/metrics", "", SiteAdmin),
    ("POST", "/admin/shutdown", r#"{"secret": "guess"}"#, SiteAdminWithSecret),
    ("GET", "/v1/objects/artifacts/x", "", Unavailable(403)),
    ("PUT", "/v1/objects/artifacts/x", "", Unavailable(403)),
    // The last one, as it ends the session of each caller.
    ("DELETE", "/v1/sessions", "", PasswordUser),
];

#[rustfmt::skip]
pub(super) const GROUPS: &[Row] = &[
    ("POST", "/groups", r#"{"group_name": "{fresh}"}"#, AnyUser),
    ("GET", "/groups/{group}", "", Member(Read, 403)),
    ("DELETE", "/v1/groups/{group}", "", Member(Admin, 403)),
    ("GET", "/v1/groups/{group}/notify-key", "", Member(Admin, 403)),
    ("POST", "/v1/groups/{group}/notify-key", "", Member(Admin, 403)),
    ("PUT", "/groups/{group}/users", r#"{"relations": {"outsider": "Read"}}"#, Member(Admin, 403)),
    ("DELETE", "/groups/{group}/users?users=reader&users=writer", "", Member(Admin, 403)),
    ("POST", "/groups/{group}/users/remove", r#"{"users": ["reader", "writer"]}"#, Member(Admin, 403)),
    ("GET", "/v1/groups/{group}/limits", "", Member(Read, 403)),
    ("PUT", "/v1/groups/{group}/limits/licence", r#"{"value": 3}"#, Member(Admin, 403)),
    ("DELETE", "/v1/groups/{group}/limits/licence", "", MemberBut(Admin, 403, 404)),
    ("GET", "/v1/groups/{group}/secrets", "", Member(Read, 403)),
    ("PUT", "/v1/groups/{group}/secrets/TOKEN", r#"{"value": "password"}"#, Member(Admin, 403)),
    ("DELETE", "/v1/groups/{group}/secrets/TOKEN", "", MemberBut(Admin, 403, 404)),
    ("PUT", "/v1/groups/{group}/write-priority", r#"{"most": 9}"#, Member(Admin, 403)),
    ("POST", "/groups/{group}/attachments", r#"{"key": "new", "content_length": 1}"#, Member(Write, 403)),
    ("POST", "/groups/{group}/attachments/query", r#"{"count": false}"#, Member(Read, 400)),
    ("GET", "/groups/{group}/attachments/query", "", MemberBut(Read, 403, 404)),
    ("DELETE", "/groups/{group}/attachments/query", "", MemberBut(Write, 403, 404)),
    ("GET", "/groups/{group}/attachments/file", "{file}", Member(Read, 403)),
    ("DELETE", "/groups/{group}/attachments/file", "{old file}", Member(Write, 403)),
    ("GET", "/groups/{group}/download/attachments/file", "{file}", Member(Read, 403)),
    ("GET", "/groups/{group}/download/attachments/list", "", MemberBut(Read, 403, 404)),
    ("POST", "/groups/{group}/download/attachments", "{}", Member(Read, 400)),
    ("POST", "/groups/{group}/download/attachments/list", KEYS, Member(Read, 400)),
    ("POST", "/groups/{group}/delete/attachments", "{}", Member(Write, 400)),
    ("POST", "/groups/{group}/delete/attachments/list", KEYS, Member(Write, 400)),
];

#[rustfmt::skip]
pub(super) const TASKS: &[Row] = &[
    ("POST", "/tasks", TASK, Member(Write, 403)),
    ("POST", "/tasks", FETCHES, Member(Read, 403)),
    ("POST", "/tasks", WATCHES, Member(Read, 403)),
    ("POST", "/tasks/submit", "{submission}", Counted(Write, "results/0/Ok")),
    ("POST", "/tasks/submit", "{submission that fetches}", Counted(Read, "results/0/Ok")),
    ("POST", "/tasks/submit", "{submission that watches}", Counted(Read, "results/0/Ok")),
    ("GET", "/tasks/{task}", "", Member(Read, 403)),
    ("GET", "/v1/tasks/{task}/explain", "", Member(Read, 403)),
    ("GET", "/v1/tasks/{task}/output", "", Member(Read, 403)),
    ("GET", "/v1/tasks/{task}/logs", "", MemberBut(Read, 403, 404)),
    ("GET", "/v1/tasks/{task}/events", "", Member(Read, 403)),
    ("GET", "/v1/events?group={group}", "", Member(Read, 403)),
    ("GET", "/v1/events", "", AnyUser),
    ("GET", "/v1/tasks/find?selector={task}", "", Member(Read, 403)),
    ("GET", "/v1/tasks/find?selector={group}-1", "{some task}", Member(Read, 403)),
    ("PUT", "/tasks/{task}", r#"{"priority": 5}"#, Member(Write, 400)),
    ("PUT", "/tasks/{my task}", r#"{"task_spec": {"args": ["true"], "watch": ["{task}", "TaskCommitted"]}}"#, Member(Read, 403)),
    ("PUT", "/tasks/{my task}", r#"{"task_spec": {"args": ["true"], "resources": [{"remote_file": {"Artifact": {"uuid": "{task}", "content_type": "result"}}, "local_path": "x"}]}}"#, Member(Read, 403)),
    ("DELETE", "/tasks/{task}", "", Member(Write, 400)),
    ("PUT", "/tasks/{task}/labels", r#"{"labels": ["x"]}"#, Member(Write, 400)),
    ("POST", "/v1/tasks/{task}/stop", "", MemberBut(Write, 400, 404)),
    ("POST", "/v1/tasks/results", r#"{"group_name": "{group}"}"#, Member(Read, 400)),
    ("POST", "/v1/tasks/outputs", r#"{"tasks": ["{ended}"]}"#, Counted(Read, "outputs/0")),
    ("POST", "/v1/tasks/states", r#"{"tasks": ["{ended}"]}"#, Counted(Read, "tasks/0")),
    ("POST", "/v1/tasks/results", r#"{"group_name": "{me}", "before": "{task}"}"#, Member(Read, 403)),
    ("POST", "/v1/tasks/retry", r#"{"filter": {"group_name": "{group}"}}"#, Member(Write, 400)),
    ("POST", "/v1/tasks/retry", r#"{"filter": {"group_name": "{me}"}, "before": "{task}"}"#, Member(Read, 403)),
    ("POST", "/v1/tasks/retry", r#"{"uuids": ["{ended}"]}"#, Counted(Write, "retried/0")),
    ("POST", "/tasks/query", r#"{"group_name": "{group}", "count": false}"#, Member(Read, 400)),
    ("POST", "/tasks/query", r#"{"filter": "group={group}", "count": false}"#, Member(Read, 400)),
    ("POST", "/tasks/query", r#"{"group_name": "{me}", "before": "{task}", "count": false}"#, Member(Read, 403)),
    ("POST", "/tasks/cancel", r#"{"group_name": "{group}"}"#, Member(Write, 400)),
    ("POST", "/tasks/cancel/list", r#"{"uuids": ["{task}"]}"#, Counted(Write, "cancelled_count")),
    ("POST", "/tasks/{task}/artifacts", r#"{"content_type": "result", "content_length": 1}"#, Member(Write, 403)),
    ("DELETE", "/tasks/{task}/artifacts/result", "{old archive}", Member(Write, 403)),
    ("GET", "/tasks/{task}/download/artifacts/result", "{archive}", Member(Read, 403)),
    ("POST", "/tasks/download/artifacts", FILTER, Member(Read, 400)),
    ("POST", "/tasks/download/artifacts/list", "{archive list}", Counted(Read, "downloads/0")),
    ("POST", "/tasks/delete/artifacts", FILTER, Member(Read, 400)),
    ("POST", "/tasks/delete/artifacts/list", "{old archive list}", Counted(Write, "deleted_count")),
];

/// `{job}` is a waiting job of the group.
#[rustfmt::skip]
pub(super) const JOBS: &[Row] = &[
    ("POST", "/v1/jobs", "{submission of a job}", Member(Write, 403)),
    ("POST", "/v1/jobs", "{job that fetches}", Member(Read, 403)),
    ("POST", "/v1/jobs", "{job that needs}", Member(Read, 404)),
    ("POST", "/v1/jobs/query", r#"{"group": "{group}"}"#, Member(Read, 403)),
    ("POST", "/v1/jobs/query", r#"{"jobs": [{job}]}"#, Counted(Read, "jobs/0")),
    ("POST", "/v1/jobs/wait", r#"{"jobs": [{job}]}"#, Counted(Read, "jobs/0")),
    ("GET", "/v1/jobs/{job}", "", Member(Read, 404)),
    ("PATCH", "/v1/jobs/{job}", r#"{"priority": 5}"#, Member(Write, 404)),
    ("DELETE", "/v1/jobs/{job}", "", MemberBut(Write, 404, 400)),
    ("POST", "/v1/jobs/{job}/tasks", "{}", Member(Read, 404)),
    ("GET", "/v1/jobs/{job}/states", "", Member(Read, 404)),
    ("GET", "/v1/jobs/{job}/attempts", "", Member(Read, 404)),
    ("GET", "/v1/activity", "", AnyUser),
    ("POST", "/v1/jobs/{job}/cancel", "{}", Member(Write, 404)),
    ("POST", "/v1/jobs/{job}/retry", "{}", Member(Write, 404)),
    ("GET", "/v1/jobs/{job}/events", "", Member(Read, 404)),
    ("GET", "/v1/tasks/{task}/attempts", "", Member(Read, 403)),
];

/// `{schedule}` is a paused schedule of the group.
#[rustfmt::skip]
pub(super) const SCHEDULES: &[Row] = &[
    ("POST", "/v1/schedules", "{new schedule}", Member(Write, 403)),
    ("POST", "/v1/schedules", "{schedule that fetches}", Member(Read, 403)),
    ("POST", "/v1/schedules/query", r#"{"group": "{group}"}"#, Member(Read, 403)),
    ("GET", "/v1/schedules/{schedule}", "", Member(Read, 404)),
    ("PATCH", "/v1/schedules/{schedule}", r#"{"overlap": "queue"}"#, Member(Write, 404)),
    ("DELETE", "/v1/schedules/{schedule}", "", Member(Write, 404)),
    ("POST", "/v1/schedules/{schedule}/run", "", Member(Write, 404)),
    ("GET", "/v1/schedules/{schedule}/runs", "", Member(Read, 404)),
];

/// `{mine}` is a worker that the caller has registered, without the group.
#[rustfmt::skip]
pub(super) const WORKERS: &[Row] = &[
    ("POST", "/workers", r#"{"tags": [], "labels": [], "groups": ["{group}"]}"#, Member(Write, 403)),
    ("POST", "/workers", r#"{"tags": [], "labels": [], "groups": ["{group}:read"]}"#, Member(Write, 403)),
    ("GET", "/workers/{worker}", "", Member(Read, 403)),
    ("DELETE", "/workers/{worker}?op=force", "", Member(Admin, 403)),
    ("PUT", "/v1/workers/{worker}/drain", r#"{"reason": "disk"}"#, Member(Admin, 403)),
    ("DELETE", "/v1/workers/{worker}/drain", "", Member(Admin, 403)),
    ("PUT", "/workers/{worker}/tags", r#"{"tags": ["x"]}"#, Member(Write, 403)),
    ("PUT", "/workers/{worker}/labels", r#"{"labels": ["x"]}"#, Member(Write, 403)),
    ("PUT", "/workers/{worker}/groups", r#"{"relations": {"{group}": "Read"}}"#, Member(Admin, 403)),
    ("PUT", "/workers/{worker}/groups", r#"{"relations": {"otherlab": "Read"}}"#, MemberBut(Admin, 403, 403)),
    ("PUT", "/workers/{mine}/groups", r#"{"relations": {"{group}": "Write"}}"#, Member(Write, 403)),
    ("PUT", "/workers/{mine}/groups", r#"{"relations": {"{group}": "Read"}}"#, Member(Write, 403)),
    ("DELETE", "/workers/{worker}/groups?groups={group}", "", Member(Admin, 403)),
    ("DELETE", "/workers/{worker}/groups?groups=otherlab", "", Member(Admin, 403)),
    ("DELETE", "/workers/{worker}/groups/remove", r#"{"groups": ["{group}"]}"#, Member(Admin, 403)),
    ("DELETE", "/workers/{lent}/groups?groups={group}", "", Member(Admin, 403)),
    ("POST", "/workers/query", r#"{"group_name": "{group}", "count": false}"#, Member(Read, 403)),
    ("POST", "/workers/shutdown", r#"{"group_name": "{group}", "op": "Force"}"#, Member(Admin, 403)),
    ("POST", "/workers/shutdown/list", r#"{"uuids": ["{worker}"], "op": "Force"}"#, Counted(Admin, "shutdown_count")),
];

/// `{needed}` is a task of another group with an artifact; the held task refers to it and to `{watched}`.
#[rustfmt::skip]
pub(super) const WORKER_SIDE: &[Row] = &[
    ("DELETE", "/workers", "", AnyWorker),
    ("POST", "/workers/heartbeat", "", AnyWorker),
    ("GET", "/workers/tasks?wait=0s", "", AnyWorker),
    ("POST", "/workers/tasks", r#"{"id": {held id}, "op": "Finish"}"#, Holder(404)),
    ("POST", "/workers/tasks", r#"{"id": {held id}, "op": {"Upload": {"content_type": "result", "content_length": 1}}}"#, Holder(404)),
    ("GET", "/workers/tasks/{held}", "", Holder(403)),
    ("GET", "/workers/tasks/{watched}", "{held}", Holder(403)),
    ("GET", "/workers/tasks/{needed}", "{held}", NoWorker(403)),
    ("GET", "/workers/tasks/{needed}/artifacts/result", "{held}", Holder(403)),
    ("GET", "/workers/tasks/{needed}/artifacts/std-log", "{held}", NoWorker(403)),
    ("GET", "/workers/tasks/{watched}/artifacts/result", "{held}", NoWorker(403)),
    ("GET", "/workers/tasks/{held}/artifacts/result", "{archive}", NoWorker(403)),
    ("GET", "/workers/tasks/{held}/attachments/file", "{file}", Holder(403)),
    ("GET", "/workers/tasks/{task}/attachments/file", "{file}", NoWorker(403)),
    ("GET", "/workers/tasks/{needed}/attachments/file", "{held}", NoWorker(403)),
    ("GET", "/v1/workers/tasks/{watched}/reached?target=FetchResource", "{held}", Holder(403)),
    ("POST", "/v1/workers/token", "{}", AnyWorker),
    ("GET", "/v1/workers/tasks/{held}/output", "", Holder(404)),
    ("POST", "/v1/workers/tasks/{held}/output", r#"{"stdout_offset": 0, "stdout": "", "stderr_offset": 0, "stderr": ""}"#, Holder(404)),
    ("POST", "/v1/agents/poll", "{}", AnyWorker),
    ("POST", "/v1/agents/report", "{}", AnyWorker),
];

/// All rows.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
    [ACCOUNTS, GROUPS, TASKS, JOBS, SCHEDULES, WORKERS, WORKER_SIDE].into_iter().flatten().copied()
}

fn new_schedule(task: &str) -> String {
    format!("{{\"name\": \"{{fresh}}\", \"cron\": \"0 3 * * *\", \"job\": {{\"task\": {task}}}}}")
}

/// The long bodies by their short names.
pub(super) fn expand(body: &str) -> String {
    let mine = TASK.replace("{group}", "{me}");
    let needs = r#"[{"on": {"job": {job}}, "kind": "ended"}]"#;
    body.replace("{submission of a job}", &format!("{{\"jobs\": [{{\"task\": {TASK}}}]}}"))
        .replace("{job that fetches}", &format!("{{\"jobs\": [{{\"task\": {FETCHES}}}]}}"))
        .replace("{job that needs}", &format!("{{\"jobs\": [{{\"task\": {mine}, \"needs\": {needs}}}]}}"))
        .replace("{new schedule}", &new_schedule(TASK))
        .replace("{schedule that fetches}", &new_schedule(FETCHES))
        .replace("{archive list}", LIST)
        .replace("{old archive list}", LIST)
        .replace("{submission that fetches}", &format!("{{\"tasks\": [{FETCHES}]}}"))
        .replace("{submission that watches}", &format!("{{\"tasks\": [{WATCHES}]}}"))
        .replace("{submission}", &format!("{{\"tasks\": [{TASK}]}}"))
}
