//! Who may do what: every route, asked by everybody there is.

use std::time::Duration;

use mitosis_protocol::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{ADMIN, Answer, Someone, Stage};

/// Whoever may ask, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Nobody,
    MalformedToken,
    ExpiredToken,
    SupersededToken,
    LockedUser,
    DeletedUser,
    Outsider,
    Reader,
    Writer,
    GroupAdmin,
    SiteAdmin,
    /// A worker that the group may use, and that holds the task.
    OwnWorker,
    /// A worker of somebody else.
    ForeignWorker,
    WorkerOfALockedUser,
    RemovedWorker,
}

use Asker::{
    DeletedUser, ExpiredToken, ForeignWorker, GroupAdmin, LockedUser, MalformedToken, Nobody, Outsider,
    OwnWorker, Reader, RemovedWorker, SiteAdmin, SupersededToken, WorkerOfALockedUser, Writer,
};

const EVERYBODY: [Asker; 15] = [
    Nobody,
    MalformedToken,
    ExpiredToken,
    SupersededToken,
    LockedUser,
    DeletedUser,
    Outsider,
    Reader,
    Writer,
    GroupAdmin,
    SiteAdmin,
    OwnWorker,
    ForeignWorker,
    WorkerOfALockedUser,
    RemovedWorker,
];

/// What a route asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// Any user who is let in.
    AnyUser,
    /// A user who is let in, and whom this request then refuses for another reason.
    AnyUserBut(u16),
    /// This role in the group; outsiders are answered with this status.
    Member(Role, u16),
    /// Everybody is answered; this role decides whether the one item named is counted under this name.
    Counted(Role, &'static str),
    /// The flag of a site administrator.
    SiteAdmin,
    /// The same, and a secret that nobody here has.
    SiteAdminWithSecret,
    /// A registered worker.
    AnyWorker,
    /// The worker that holds the task; others are answered with this status.
    Holder(u16),
}

use Needs::{AnyUser, AnyUserBut, AnyWorker, Counted, Holder, Member, Nothing, SiteAdminWithSecret};
use Role::{Admin, Read, Write};

const FILTER: &str = r#"{"group_name": "{group}", "content_type": "result"}"#;
const TASKS: &str = r#"{"uuids": ["{task}"], "content_type": "result"}"#;
const KEYS: &str = r#"{"keys": ["file"]}"#;
const TASK: &str = r#"{"group_name": "{group}", "tags": [], "labels": [], "timeout": "90s", "priority": 0, "task_spec": {"args": ["true"]}}"#;

/// Every route of the contract, and those of our agents: method, path, body, and what it asks for. `{group}`, `{task}`, `{worker}`
/// and the like stand for things made for each question.
#[rustfmt::skip]
pub(crate) const ROUTES: &[(&str, &str, &str, Needs)] = &[
    ("GET", "/health", "", Nothing),
    ("POST", "/login", "{login}", Nothing),
    ("GET", "/auth", "", AnyUser),
    ("GET", "/redis", "", AnyUser),
    ("GET", "/v1/doctor", "", AnyUser),
    ("GET", "/v1/admin/doctor", "", Needs::SiteAdmin),
    ("POST", "/users/ann/password", r#"{"old_md5_password": {md5}, "new_md5_password": {md5}}"#, AnyUserBut(401)),
    ("GET", "/users/groups", "", AnyUser),
    ("POST", "/admin/users", r#"{"username": "{fresh}", "md5_password": {md5}, "admin": false}"#, Needs::SiteAdmin),
    ("DELETE", "/admin/users/victim", "", Needs::SiteAdmin),
    ("POST", "/admin/users/victim/password", r#"{"new_md5_password": {md5}}"#, Needs::SiteAdmin),
    ("POST", "/admin/users/victim/group-quota", r#"{"group_quota": "+1"}"#, Needs::SiteAdmin),
    ("POST", "/admin/users/victim/state", r#"{"state": "Locked"}"#, Needs::SiteAdmin),
    ("POST", "/admin/groups/{group}/storage-quota", r#"{"storage_quota": "+1k"}"#, Needs::SiteAdmin),
    ("DELETE", "/admin/groups/{group}/attachments/file", "{file}", Needs::SiteAdmin),
    ("DELETE", "/admin/tasks/{task}/artifacts/result", "{archive}", Needs::SiteAdmin),
    ("DELETE", "/admin/workers/{worker}?op=force", "", Needs::SiteAdmin),
    ("POST", "/admin/shutdown", r#"{"secret": "guess"}"#, SiteAdminWithSecret),
    ("POST", "/groups", r#"{"group_name": "{fresh}"}"#, AnyUser),
    ("GET", "/groups/{group}", "", Member(Read, 403)),
    ("PUT", "/groups/{group}/users", r#"{"relations": {"outsider": "Read"}}"#, Member(Admin, 403)),
    ("DELETE", "/groups/{group}/users?users=reader&users=writer", "", Member(Admin, 403)),
    ("POST", "/groups/{group}/users/remove", r#"{"users": ["reader", "writer"]}"#, Member(Admin, 403)),
    ("POST", "/groups/{group}/attachments", r#"{"key": "new", "content_length": 1}"#, Member(Write, 403)),
    ("POST", "/groups/{group}/attachments/query", r#"{"count": false}"#, Member(Read, 400)),
    ("GET", "/groups/{group}/attachments/file", "{file}", Member(Read, 403)),
    ("DELETE", "/groups/{group}/attachments/file", "{old file}", Member(Write, 403)),
    ("GET", "/groups/{group}/download/attachments/file", "{file}", Member(Read, 403)),
    ("POST", "/groups/{group}/download/attachments", "{}", Member(Read, 400)),
    ("POST", "/groups/{group}/download/attachments/list", KEYS, Member(Read, 400)),
    ("POST", "/groups/{group}/delete/attachments", "{}", Member(Write, 400)),
    ("POST", "/groups/{group}/delete/attachments/list", KEYS, Member(Write, 400)),
    ("POST", "/tasks", TASK, Member(Write, 403)),
    ("POST", "/tasks/submit", "{submission}", Counted(Write, "results/0/Ok")),
    ("GET", "/tasks/{task}", "", Member(Read, 403)),
    ("GET", "/v1/tasks/{task}/explain", "", Member(Read, 403)),
    ("GET", "/v1/tasks/find?selector={task}", "", Member(Read, 403)),
    ("PUT", "/tasks/{task}", r#"{"priority": 5}"#, Member(Write, 400)),
    ("DELETE", "/tasks/{task}", "", Member(Write, 400)),
    ("PUT", "/tasks/{task}/labels", r#"{"labels": ["x"]}"#, Member(Write, 400)),
    ("POST", "/v1/tasks/results", r#"{"group_name": "{group}"}"#, Member(Read, 400)),
    ("POST", "/v1/tasks/retry", r#"{"filter": {"group_name": "{group}"}}"#, Member(Write, 400)),
    ("POST", "/v1/tasks/retry", r#"{"uuids": ["{ended}"]}"#, Counted(Write, "retried/0")),
    ("POST", "/tasks/query", r#"{"group_name": "{group}", "count": false}"#, Member(Read, 400)),
    ("POST", "/tasks/cancel", r#"{"group_name": "{group}"}"#, Member(Write, 400)),
    ("POST", "/tasks/cancel/list", r#"{"uuids": ["{task}"]}"#, Counted(Write, "cancelled_count")),
    ("POST", "/tasks/{task}/artifacts", r#"{"content_type": "result", "content_length": 1}"#, Member(Write, 403)),
    ("DELETE", "/tasks/{task}/artifacts/result", "{old archive}", Member(Write, 403)),
    ("GET", "/tasks/{task}/download/artifacts/result", "{archive}", Member(Read, 403)),
    ("POST", "/tasks/download/artifacts", FILTER, Member(Read, 400)),
    ("POST", "/tasks/download/artifacts/list", "{archive list}", Counted(Read, "downloads/0")),
    ("POST", "/tasks/delete/artifacts", FILTER, Member(Read, 400)),
    ("POST", "/tasks/delete/artifacts/list", "{old archive list}", Counted(Write, "deleted_count")),
    ("POST", "/workers", r#"{"tags": [], "labels": [], "groups": ["{group}"]}"#, Member(Write, 403)),
    ("GET", "/workers/{worker}", "", Member(Read, 403)),
    ("DELETE", "/workers/{worker}?op=force", "", Member(Admin, 403)),
    ("PUT", "/workers/{worker}/tags", r#"{"tags": ["x"]}"#, Member(Write, 403)),
    ("PUT", "/workers/{worker}/labels", r#"{"labels": ["x"]}"#, Member(Write, 403)),
    ("PUT", "/workers/{worker}/groups", r#"{"relations": {"outsider": "Read"}}"#, Member(Admin, 403)),
    ("DELETE", "/workers/{worker}/groups?groups=outsider", "", Member(Admin, 403)),
    ("DELETE", "/workers/{worker}/groups/remove", r#"{"groups": ["outsider"]}"#, Member(Admin, 403)),
    ("POST", "/workers/query", r#"{"group_name": "{group}", "count": false}"#, Member(Read, 403)),
    ("POST", "/workers/shutdown", r#"{"group_name": "{group}", "op": "Force"}"#, Member(Admin, 403)),
    ("POST", "/workers/shutdown/list", r#"{"uuids": ["{worker}"], "op": "Force"}"#, Counted(Admin, "shutdown_count")),
    ("DELETE", "/workers", "", AnyWorker),
    ("POST", "/workers/heartbeat", "", AnyWorker),
    ("GET", "/workers/tasks?wait=0s", "", AnyWorker),
    ("POST", "/workers/tasks", r#"{"id": {held id}, "op": "Finish"}"#, Holder(404)),
    ("GET", "/workers/tasks/{held}", "", Holder(403)),
    ("GET", "/workers/tasks/{held}/artifacts/result", "{archive}", Holder(403)),
    ("GET", "/workers/tasks/{held}/attachments/file", "{file}", Holder(403)),
    ("POST", "/v1/agents/poll", "{}", AnyWorker),
    ("POST", "/v1/agents/report", "{}", AnyWorker),
];

/// The status that the asker is answered with, and whether something is counted.
fn expected(needs: Needs, asker: Asker) -> (u16, Option<bool>) {
    if matches!(needs, Nothing) {
        return (200, None);
    }
    let role = match asker {
        Nobody => return (400, None),
        // The flag is looked at before the session (HTTP contract §3).
        SupersededToken if matches!(needs, Needs::SiteAdmin | SiteAdminWithSecret) => return (403, None),
        MalformedToken | ExpiredToken | SupersededToken | WorkerOfALockedUser | RemovedWorker => {
            return (401, None);
        }
        OwnWorker | ForeignWorker => {
            return match needs {
                AnyWorker => (200, None),
                Holder(others) => (if asker == OwnWorker { 200 } else { others }, None),
                _ => (401, None),
            };
        }
        LockedUser | DeletedUser => {
            return (if matches!(needs, AnyWorker | Holder(_)) { 401 } else { 403 }, None);
        }
        Outsider | SiteAdmin => None,
        Reader => Some(Read),
        Writer => Some(Write),
        GroupAdmin => Some(Admin),
    };
    match needs {
        Nothing | AnyUser => (200, None),
        AnyUserBut(status) => (status, None),
        Member(least, outsiders) => match role {
            None => (outsiders, None),
            Some(role) if role >= least => (200, None),
            Some(_) => (403, None),
        },
        Counted(least, _) => (200, Some(role.is_some_and(|role| role >= least))),
        Needs::SiteAdmin => (if asker == SiteAdmin { 200 } else { 403 }, None),
        SiteAdminWithSecret => (403, None),
        AnyWorker | Holder(_) => (401, None),
    }
}

/// Everybody's token.
struct Cast<'a> {
    stage: &'a Stage,
    owner: Someone<'a>,
    tokens: Vec<(Asker, String)>,
    made: std::cell::Cell<u32>,
}

impl<'a> Cast<'a> {
    async fn assemble(stage: &'a Stage) -> Self {
        let mut tokens = vec![(MalformedToken, "nonsense".to_owned())];
        tokens.push((ExpiredToken, stage.user("expired").await.token));
        stage.clock.advance(Duration::from_hours(7 * 24 + 1));

        let admin = stage.admin().await;
        let superseded = stage.user("superseded").await;
        let body = json!({"username": "superseded", "md5_password": md5::compute("superseded").0});
        stage.send(Method::POST, "/login", None, Some(&body)).await.expect(200);
        tokens.push((SupersededToken, superseded.token));
        for (asker, name) in
            [(Outsider, "outsider"), (Reader, "reader"), (Writer, "writer"), (GroupAdmin, "boss")]
        {
            tokens.push((asker, stage.user(name).await.token));
        }
        for (asker, name, state) in [(LockedUser, "locked", "Locked"), (DeletedUser, "deleted", "Deleted")] {
            let user = stage.user(name).await;
            if asker == LockedUser {
                tokens.push((WorkerOfALockedUser, user.worker(&json!({})).await.token));
            }
            let path = format!("/admin/users/{name}/state");
            admin.post(&path, &json!({"state": state})).await.expect(200);
            tokens.push((asker, user.token));
        }
        stage.user("victim").await;
        let owner = stage.user("owner").await;
        let quota = json!({"group_quota": "=100000"});
        for name in ["owner", "outsider", "reader", "writer", "boss"] {
            admin.post(&format!("/admin/users/{name}/group-quota"), &quota).await.expect(200);
        }
        let removed = owner.worker(&json!({})).await;
        owner.delete(&format!("/workers/{}?op=force", removed.name)).await.expect(200);
        tokens.push((RemovedWorker, removed.token));
        tokens.push((SiteAdmin, admin.token));
        Self { stage, owner, tokens, made: std::cell::Cell::new(0) }
    }

    fn fresh(&self) -> String {
        self.made.set(self.made.get() + 1);
        format!("thing-{}", self.made.get())
    }

    /// Puts one question to a route, about things made for it.
    async fn ask(&self, asker: Asker, (method, path, body, _): (&str, &str, &str, Needs)) -> Answer {
        let target = Target::make(self, path, body).await;
        let token = match asker {
            Nobody => None,
            OwnWorker => Some(target.holder.clone()),
            // The owner's own group is all that it serves.
            ForeignWorker => Some(self.owner.worker(&json!({})).await.token),
            asker => self.tokens.iter().find(|(other, _)| *other == asker).map(|(_, token)| token.clone()),
        };
        assert!(token.is_some() || asker == Nobody, "{asker:?} has a token");
        let body = target.fill(body);
        let body: Option<Value> = serde_json::from_str(&body).ok();
        let method = method.parse().unwrap();
        self.stage.send(method, &target.fill(path), token.as_deref(), body.as_ref()).await
    }
}

/// What a question is about.
#[derive(Default)]
struct Target {
    fresh: String,
    group: String,
    task: String,
    worker: String,
    held: String,
    held_id: String,
    holder: String,
}

impl Target {
    async fn make(cast: &Cast<'_>, path: &str, body: &str) -> Self {
        let (owner, stage) = (&cast.owner, cast.stage);
        let mut target = Self { fresh: cast.fresh(), group: cast.fresh(), ..Self::default() };
        owner.post("/groups", &json!({"group_name": target.group})).await.expect(200);
        let relations = json!({"relations": {"reader": "Read", "writer": "Write", "boss": "Admin"}});
        owner.put(&format!("/groups/{}/users", target.group), &relations).await.expect(200);
        let on_worker = json!({"groups": [format!("{}:admin", target.group)]});
        if path.contains("{worker}") || body.contains("{worker}") {
            target.worker = owner.worker(&on_worker).await.name;
        }
        let holder = owner.worker(&on_worker).await;
        target.holder.clone_from(&holder.token);
        if path.contains("{held}") || body.contains("{held id}") {
            target.held = owner.submits_to(&target.group, &json!({})).await;
            let held = holder.fetches().await;
            assert_eq!(held["uuid"], target.held.as_str());
            target.held_id = held["id"].to_string();
        }
        target.task = match target.held.as_str() {
            "" => owner.submits_to(&target.group, &json!({})).await,
            held => held.to_owned(),
        };
        if body.contains("{ended}") {
            owner.delete(&format!("/tasks/{}", target.task)).await.expect(200);
        }
        if body.contains("file}") {
            let file = json!({"key": "file", "content_length": 1});
            owner.post(&format!("/groups/{}/attachments", target.group), &file).await.expect(200);
        }
        if body.contains("archive") {
            let archive = json!({"content_type": "result", "content_length": 1});
            owner.post(&format!("/tasks/{}/artifacts", target.task), &archive).await.expect(200);
        }
        if body.contains("{old") {
            stage.clock.advance(Duration::from_secs(3601));
        }
        target
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{archive list}", TASKS)
            .replace("{old archive list}", TASKS)
            .replace("{submission}", &format!("{{\"tasks\": [{TASK}]}}"))
            .replace("{fresh}", &self.fresh)
            .replace("{group}", &self.group)
            .replace("{task}", &self.task)
            .replace("{ended}", &self.task)
            .replace("{worker}", &self.worker)
            .replace("{held id}", &self.held_id)
            .replace("{held}", &self.held)
            .replace("{md5}", &json!(md5::compute("new").0).to_string())
            .replace(
                "{login}",
                &json!({"username": ADMIN, "md5_password": md5::compute(ADMIN).0, "retain": true})
                    .to_string(),
            )
    }
}

pub(crate) async fn every_route_lets_in_whom_it_should_and_nobody_else(stage: Stage) {
    let cast = Cast::assemble(&stage).await;
    let mut wrong = Vec::new();
    for asker in EVERYBODY {
        for route in ROUTES.iter().copied() {
            let (method, path, _, needs) = route;
            let (status, counted) = expected(needs, asker);
            let answer = cast.ask(asker, route).await;
            if answer.status != status {
                wrong.push(format!(
                    "{asker:?} {method} {path}: {} for {status}: {}",
                    answer.status, answer.text
                ));
            }
            let (Some(counted), Counted(_, pointer)) = (counted, needs) else { continue };
            let reply = answer.json();
            let found = reply.pointer(&format!("/{pointer}"));
            if found.is_some_and(|value| *value != json!(0)) != counted {
                wrong.push(format!("{asker:?} {method} {path}: counted is not {counted} in {reply}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cells:\n{}",
        wrong.len(),
        ROUTES.len() * EVERYBODY.len(),
        wrong.join("\n")
    );
}
