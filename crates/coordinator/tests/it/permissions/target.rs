//! The objects of a request, created for each request so that the replies are independent.

use std::cell::Cell;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::table::{Row, expand};
use super::{ALL_ASKERS, Asker};
use crate::harness::{ADMIN, Answer, Harness, Someone, task};

/// The tokens of all callers.
pub(super) struct Cast<'a> {
    harness: &'a Harness,
    /// The Admin of the groups in requests.
    owner: Someone<'a>,
    tokens: Vec<(Asker, String)>,
    /// The token of a worker of a locked user, which may sign off.
    made: Cell<u32>,
}

impl<'a> Cast<'a> {
    pub(super) async fn assemble(harness: &'a Harness) -> Self {
        let mut tokens = vec![(Asker::MalformedToken, "nonsense".to_owned())];
        tokens.push((Asker::ExpiredToken, harness.user("expired").await.token));
        harness.clock.advance(Duration::from_hours(7 * 24 + 1));

        let admin = harness.admin().await;
        let superseded = harness.user("superseded").await;
        let body = json!({"username": "superseded", "md5_password": md5::compute("superseded").0});
        harness.send(Method::POST, "/login", None, Some(&body)).await.expect(200);
        tokens.push((Asker::SupersededToken, superseded.token));
        for asker in ALL_ASKERS {
            if let Some(name) = asker.user_name().filter(|name| *name != ADMIN)
                && asker.is_session()
            {
                tokens.push((asker, harness.user(name).await.token));
            }
        }
        for (asker, scope) in [(Asker::ReadToken, "read"), (Asker::WriteToken, "write")] {
            let boss = harness.logged_in("boss", "boss").await;
            let reply = boss.post("/v1/tokens", &json!({"name": scope, "scope": scope})).await.expect(200);
            tokens.push((asker, reply.json()["token"].as_str().unwrap().to_owned()));
        }
        for (asker, name, state) in
            [(Asker::LockedUser, "locked", "Locked"), (Asker::DeletedUser, "deleted", "Deleted")]
        {
            let user = harness.user(name).await;
            if asker == Asker::LockedUser {
                tokens.push((Asker::WorkerOfALockedUser, user.worker(&json!({})).await.token));
            }
            let path = format!("/admin/users/{name}/state");
            admin.post(&path, &json!({"state": state})).await.expect(200);
            tokens.push((asker, user.token));
        }
        harness.user("victim").await;
        let owner = harness.user("owner").await;
        owner.post("/groups", &json!({"group_name": "otherlab"})).await.expect(200);
        let quota = json!({"group_quota": "=100000"});
        for name in ["owner", "outsider", "reader", "writer", "boss", "left"] {
            admin.post(&format!("/admin/users/{name}/group-quota"), &quota).await.expect(200);
        }
        let removed = owner.worker(&json!({})).await;
        owner.delete(&format!("/workers/{}?op=force", removed.name)).await.expect(200);
        tokens.push((Asker::RemovedWorker, removed.token));
        tokens.push((Asker::SiteAdmin, admin.token));
        Self { harness, owner, tokens, made: Cell::new(0) }
    }

    fn fresh(&self) -> String {
        self.made.set(self.made.get() + 1);
        format!("thing-{}", self.made.get())
    }

    fn token(&self, asker: Asker) -> String {
        let found = self.tokens.iter().find(|(other, _)| *other == asker);
        found.unwrap_or_else(|| panic!("{asker:?} has a token")).1.clone()
    }

    /// The session of the user of an asker.
    async fn user(&self, asker: Asker) -> Option<Someone<'_>> {
        let name = asker.user_name()?;
        Some(self.harness.logged_in(name, name).await)
    }

    /// Sends a request to a route, with objects that are created for it.
    pub(super) async fn ask(&self, asker: Asker, (method, path, body, _): Row) -> Answer {
        let short = body;
        let body = expand(short);
        let target = Target::make(self, asker, path, &format!("{short} {body}")).await;
        let token = match asker {
            Asker::Anonymous => None,
            Asker::OwnWorker => Some(target.holder.clone()),
            Asker::WorkerOfOneWhoLeft => Some(target.stray.clone()),
            // It serves only the personal group of its owner.
            Asker::ForeignWorker => Some(self.owner.worker(&json!({})).await.token),
            asker => Some(self.token(asker)),
        };
        let body: Option<Value> = serde_json::from_str(&target.fill(&body)).ok();
        let (method, path) = (method.parse().unwrap(), target.fill(path));
        if path.contains("/events") {
            return self.begin(method, &path, token.as_deref()).await;
        }
        self.harness.send(method, &path, token.as_deref(), body.as_ref()).await
    }

    /// Opens a stream without waiting for its end.
    async fn begin(&self, method: Method, path: &str, token: Option<&str>) -> Answer {
        let mut request = self.harness.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: String::new() }
    }
}

/// The objects of a request.
#[derive(Default)]
struct Target {
    me: String,
    fresh: String,
    group: String,
    task: String,
    my_task: String,
    job: String,
    schedule: String,
    /// A worker on which the group is Admin.
    worker: String,
    /// A worker of another user on which the group has Write.
    lent: String,
    mine: String,
    held: String,
    held_id: String,
    needed: String,
    watched: String,
    holder: String,
    stray: String,
}

impl Target {
    async fn make(cast: &Cast<'_>, asker: Asker, path: &str, body: &str) -> Self {
        let (owner, harness) = (&cast.owner, cast.harness);
        let about = |what: &str| path.contains(what) || body.contains(what);
        let me = asker.user_name().unwrap_or(ADMIN).to_owned();
        let mut target = Self { me, fresh: cast.fresh(), group: cast.fresh(), ..Self::default() };
        if !about("{") && !matches!(asker, Asker::OwnWorker | Asker::WorkerOfOneWhoLeft) {
            return target;
        }
        target.make_group(cast, asker).await;
        let on_worker = json!({"groups": [format!("{}:admin", target.group)]});
        if about("{worker}") {
            target.worker = owner.worker(&on_worker).await.name;
        }
        if about("{lent}") {
            target.lent = owner.worker(&json!({"groups": [target.group]})).await.name;
        }
        if about("{mine}") || about("{my task}") {
            target.make_own(cast, asker).await;
        }
        let name = json!({"key": "file", "content_length": 1});
        if about("file}") {
            owner.post(&format!("/groups/{}/attachments", target.group), &name).await.expect(200);
        }
        let needs_holder = asker == Asker::OwnWorker || about("{held") || about("{needed}");
        if needs_holder {
            let holder = owner.worker(&on_worker).await;
            if about("{held") {
                target.hold(cast, &holder).await;
            }
            target.holder = holder.token;
        }
        if about("task}") || about("{task") || about("{ended}") || about("archive") {
            target.task = match about("{held}") && !about("{task}") {
                true => target.held.clone(),
                false => owner.submits_to(&target.group, &json!({})).await,
            };
        }
        if about("{job}") {
            let jobs = json!({"jobs": [{"task": task(&target.group, &json!({}))}]});
            let reply = owner.post("/v1/jobs", &jobs).await.expect(200).json();
            target.job = reply["jobs"][0]["job"].to_string();
        }
        if about("{schedule}") {
            let job = json!({"task": task(&target.group, &json!({}))});
            let schedule = json!({"name": "weekly", "cron": "0 3 * * 1", "paused": true, "job": job});
            let reply = owner.post("/v1/schedules", &schedule).await.expect(200).json();
            target.schedule = reply["schedule"].to_string();
        }
        if about("{ended}") {
            owner.delete(&format!("/tasks/{}", target.task)).await.expect(200);
        }
        if about("archive") {
            archive(owner, &target.task).await;
        }
        if about("{old") {
            harness.clock.advance(Duration::from_secs(3601));
        }
        target
    }

    async fn make_group(&mut self, cast: &Cast<'_>, asker: Asker) {
        let owner = &cast.owner;
        owner.post("/groups", &json!({"group_name": self.group})).await.expect(200);
        let members = format!("/groups/{}/users", self.group);
        let roles = json!({"reader": "Read", "writer": "Write", "boss": "Admin", "left": "Admin"});
        owner.put(&members, &json!({"relations": roles})).await.expect(200);
        if asker == Asker::WorkerOfOneWhoLeft {
            let left = cast.user(asker).await.unwrap();
            self.stray = left.worker(&json!({"groups": [self.group]})).await.token;
        }
        owner.delete(&format!("{members}?users=left")).await.expect(200);
    }

    /// A worker and a waiting task of the caller.
    async fn make_own(&mut self, cast: &Cast<'_>, asker: Asker) {
        let Some(user) = cast.user(asker).await else {
            let nil = "00000000-0000-4000-8000-000000000000".to_owned();
            (self.mine, self.my_task) = (nil.clone(), nil);
            return;
        };
        self.mine = user.worker(&json!({})).await.name;
        self.my_task = user.submits(&json!({})).await;
    }

    /// A task that the worker holds, with references to tasks of the personal group of the owner.
    async fn hold(&mut self, cast: &Cast<'_>, holder: &Someone<'_>) {
        let owner = &cast.owner;
        self.needed = owner.submits(&json!({})).await;
        archive(owner, &self.needed).await;
        self.watched = owner.submits(&json!({})).await;
        archive(owner, &self.watched).await;
        for task in [&self.needed, &self.watched] {
            owner.delete(&format!("/tasks/{task}")).await.expect(200);
        }
        owner
            .post("/groups/owner/attachments", &json!({"key": "file", "content_length": 1}))
            .await
            .expect(200);
        let remote_file = json!({"Artifact": {"uuid": self.needed, "content_type": "result"}});
        let spec = json!({
            "args": ["true"],
            "watch": [self.watched, "TaskCommitted"],
            "resources": [{"remote_file": remote_file, "local_path": "x"}],
        });
        self.held = owner.submits_to(&self.group, &json!({"task_spec": spec})).await;
        let held = holder.fetches().await;
        assert_eq!(held["uuid"], self.held.as_str());
        self.held_id = held["id"].to_string();
    }

    fn fill(&self, text: &str) -> String {
        let md5 = json!(md5::compute("new").0).to_string();
        let login = json!({"username": ADMIN, "md5_password": md5::compute(ADMIN).0, "retain": true});
        let web_login = json!({"username": ADMIN, "password": ADMIN});
        text.replace("{me}", &self.me)
            .replace("{fresh}", &self.fresh)
            .replace("{group}", &self.group)
            .replace("{task}", &self.task)
            .replace("{my task}", &self.my_task)
            .replace("{ended}", &self.task)
            .replace("{job}", &self.job)
            .replace("{schedule}", &self.schedule)
            .replace("{worker}", &self.worker)
            .replace("{lent}", &self.lent)
            .replace("{mine}", &self.mine)
            .replace("{held id}", &self.held_id)
            .replace("{held}", &self.held)
            .replace("{needed}", &self.needed)
            .replace("{watched}", &self.watched)
            .replace("{md5}", &md5)
            .replace("{login}", &login.to_string())
            .replace("{web login}", &web_login.to_string())
    }
}

/// An artifact of a task.
async fn archive(owner: &Someone<'_>, task: &str) {
    let archive = json!({"content_type": "result", "content_length": 1});
    owner.post(&format!("/tasks/{task}/artifacts"), &archive).await.expect(200);
}
