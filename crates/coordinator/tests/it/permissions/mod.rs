//! Permissions: every route is called by every kind of caller.

mod table;
mod target;

use mitosis_coordinator::{Access, Route};
use mitosis_protocol::Role;
use serde_json::json;

use crate::harness::{ADMIN, Harness};
pub(crate) use table::rows;
use table::{ACCOUNTS, GROUPS, JOBS, Row, SCHEDULES, TASKS, WORKER_SIDE, WORKERS};
use target::Cast;

/// The kinds of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Anonymous,
    MalformedToken,
    ExpiredToken,
    SupersededToken,
    LockedUser,
    DeletedUser,
    Outsider,
    /// A former Admin of the group.
    LeftUser,
    Reader,
    Writer,
    GroupAdmin,
    /// A personal token with the scope `read` of the Admin of the group.
    ReadToken,
    /// The same.
    WriteToken,
    SiteAdmin,
    /// A worker that the group may use, and that holds the task.
    OwnWorker,
    /// A worker of another user.
    ForeignWorker,
    /// A worker that served the group before its owner left.
    WorkerOfOneWhoLeft,
    WorkerOfALockedUser,
    RemovedWorker,
}

const ALL_ASKERS: [Asker; 19] = [
    Asker::Anonymous,
    Asker::MalformedToken,
    Asker::ExpiredToken,
    Asker::SupersededToken,
    Asker::LockedUser,
    Asker::DeletedUser,
    Asker::Outsider,
    Asker::LeftUser,
    Asker::Reader,
    Asker::Writer,
    Asker::GroupAdmin,
    Asker::ReadToken,
    Asker::WriteToken,
    Asker::SiteAdmin,
    Asker::OwnWorker,
    Asker::ForeignWorker,
    Asker::WorkerOfOneWhoLeft,
    Asker::WorkerOfALockedUser,
    Asker::RemovedWorker,
];

impl Asker {
    /// The user, or the owner of the token or worker. The password is the name.
    fn user_name(self) -> Option<&'static str> {
        match self {
            Self::Outsider => Some("outsider"),
            Self::LeftUser | Self::WorkerOfOneWhoLeft => Some("left"),
            Self::Reader => Some("reader"),
            Self::Writer => Some("writer"),
            Self::GroupAdmin | Self::ReadToken | Self::WriteToken => Some("boss"),
            Self::SiteAdmin => Some(ADMIN),
            _ => None,
        }
    }

    /// Whether it is a user with a session.
    fn is_session(self) -> bool {
        !matches!(self, Self::ReadToken | Self::WriteToken | Self::WorkerOfOneWhoLeft)
    }
}

/// What a route requires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// No authentication.
    Nothing,
    /// A credential that no caller has; all get this status.
    Unavailable(u16),
    /// Any active user.
    AnyUser,
    /// A user with a session.
    PasswordUser,
    /// A user with a session, whose request is then rejected with this status for another reason.
    PasswordBut(u16),
    /// This role in the group; outsiders get this status.
    Member(Role, u16),
    /// This role in the group; permitted callers get the second status, for another reason.
    MemberBut(Role, u16, u16),
    /// All users get a reply; the role decides whether the item is counted under this name.
    Counted(Role, &'static str),
    /// The flag of a site administrator.
    SiteAdmin,
    /// A site administrator with a secret that no caller has.
    SiteAdminWithSecret,
    /// A registered worker.
    AnyWorker,
    /// A registered worker, or one whose owner is locked: it returns its own tasks.

    /// The worker that holds the task; others get this status.
    Holder(u16),
    /// No worker is permitted; all get this status.
    NoWorker(u16),
}

use Needs::{
    AnyUser, AnyWorker, Counted, Holder, Member, MemberBut, NoWorker, Nothing, PasswordBut, PasswordUser,
    SiteAdminWithSecret,
};

impl Needs {
    const fn is_for_workers(self) -> bool {
        matches!(self, AnyWorker | Holder(_) | NoWorker(_))
    }

    const fn is_for_administrators(self) -> bool {
        matches!(self, Self::SiteAdmin | SiteAdminWithSecret)
    }
}

/// The expected status, and whether the item is counted.
fn expected(needs: Needs, access: Access, asker: Asker) -> (u16, Option<bool>) {
    match needs {
        Nothing => return (200, None),
        Needs::Unavailable(status) => return (status, None),
        _ => {}
    }
    let role = match asker {
        Asker::Anonymous => return (400, None),
        // The flag is checked before the session (HTTP contract §3).
        Asker::SupersededToken if needs.is_for_administrators() => return (403, None),
        Asker::MalformedToken
        | Asker::ExpiredToken
        | Asker::SupersededToken
        | Asker::WorkerOfALockedUser
        | Asker::RemovedWorker => return (401, None),
        Asker::OwnWorker | Asker::ForeignWorker | Asker::WorkerOfOneWhoLeft => {
            return match needs {
                AnyWorker => (200, None),
                Holder(_) if asker == Asker::OwnWorker => (200, None),
                Holder(others) | NoWorker(others) => (others, None),
                _ => (401, None),
            };
        }
        _ if needs.is_for_workers() => return (401, None),
        Asker::LockedUser | Asker::DeletedUser => return (403, None),
        Asker::ReadToken if access != Access::Read => return (403, None),
        Asker::WriteToken if !matches!(access, Access::Read | Access::Write) => return (403, None),
        Asker::Outsider | Asker::LeftUser | Asker::SiteAdmin => None,
        Asker::Reader => Some(Role::Read),
        Asker::Writer => Some(Role::Write),
        Asker::GroupAdmin | Asker::ReadToken | Asker::WriteToken => Some(Role::Admin),
    };
    match needs {
        AnyUser | PasswordUser | Nothing => (200, None),
        PasswordBut(status) | Needs::Unavailable(status) => (status, None),
        Member(least, outsiders) => (of_member(role, least, outsiders, 200), None),
        MemberBut(least, outsiders, then) => (of_member(role, least, outsiders, then), None),
        Counted(least, _) => (200, Some(role.is_some_and(|role| role >= least))),
        Needs::SiteAdmin => (if asker == Asker::SiteAdmin { 200 } else { 403 }, None),
        SiteAdminWithSecret => (403, None),
        AnyWorker | Holder(_) | NoWorker(_) => (401, None),
    }
}

fn of_member(role: Option<Role>, least: Role, outsiders: u16, members: u16) -> u16 {
    match role {
        None => outsiders,
        Some(role) if role >= least => members,
        Some(_) => 403,
    }
}

/// The route of a row.
fn route_of((method, path, _, _): Row, routes: &[Route]) -> Option<Route> {
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let mut parts = path.split('/');
        let whole = template.split('/').all(|wanted| match parts.next() {
            // A key may have several segments.
            Some(part) if wanted.starts_with("{*") => !part.is_empty() && parts.by_ref().count() < 9,
            Some(part) => part == wanted || wanted.starts_with('{'),
            None => false,
        });
        whole && parts.next().is_none()
    };
    let found = routes.iter().filter(|route| route.method == method && fits(route.path));
    // Literal paths take precedence over parameters.
    found.min_by_key(|route| route.path.matches('{').count() + route.path.matches("{*").count()).copied()
}

async fn check_table(harness: &Harness, table: &[Row]) {
    let (cast, routes) = (Cast::assemble(harness).await, mitosis_coordinator::routes());
    let mut wrong = Vec::new();
    for asker in ALL_ASKERS {
        for row in table.iter().copied() {
            let (method, path, body, needs) = row;
            let access = route_of(row, &routes).expect("a route that there is").access;
            let (status, counted) = expected(needs, access, asker);
            let answer = cast.ask(asker, row).await;
            if answer.status != status {
                wrong.push(format!(
                    "{asker:?} {method} {path} {body}: {} for {status}: {}",
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
        table.len() * ALL_ASKERS.len(),
        wrong.join("\n")
    );
}

pub(crate) async fn account_routes_check_permissions(harness: Harness) {
    check_table(&harness, ACCOUNTS).await;
}

pub(crate) async fn group_routes_check_permissions(harness: Harness) {
    check_table(&harness, GROUPS).await;
}

pub(crate) async fn task_routes_check_permissions(harness: Harness) {
    check_table(&harness, TASKS).await;
}

pub(crate) async fn job_routes_check_permissions(harness: Harness) {
    check_table(&harness, JOBS).await;
}

pub(crate) async fn schedule_routes_check_permissions(harness: Harness) {
    check_table(&harness, SCHEDULES).await;
}

pub(crate) async fn worker_routes_check_permissions(harness: Harness) {
    check_table(&harness, WORKERS).await;
}

pub(crate) async fn worker_side_routes_check_permissions(harness: Harness) {
    check_table(&harness, WORKER_SIDE).await;
}

/// A new route needs a row, and the row must agree with its declaration.
#[test]
fn every_route_has_a_matching_row() {
    let routes = mitosis_coordinator::routes();
    let mut without = routes.clone();
    for row in rows() {
        let route = route_of(row, &routes).unwrap_or_else(|| panic!("{} {} leads nowhere", row.0, row.1));
        without.retain(|other| *other != route);
        let agrees = match row.3 {
            Nothing => route.access == Access::Public,
            Needs::Unavailable(_) => route.access == Access::Link,
            AnyUser | Member(..) | MemberBut(..) | Counted(..) => {
                matches!(route.access, Access::Read | Access::Write)
            }
            PasswordUser | PasswordBut(_) => route.access == Access::Password,
            Needs::SiteAdmin | SiteAdminWithSecret => route.access == Access::Admin,
            AnyWorker | Holder(_) | NoWorker(_) => route.access == Access::Worker,
        };
        assert!(agrees, "{} {} needs {:?} and requires {:?}", row.0, row.1, row.3, route.access);
    }
    assert!(without.is_empty(), "without a row: {without:#?}");
}

/// A route that changes nothing is a GET, or a query that is too long for one.
#[test]
fn read_scope_allows_only_queries() {
    let changing: Vec<_> = mitosis_coordinator::routes()
        .into_iter()
        .filter(|route| route.access == Access::Read && route.method != "GET")
        .map(|route| route.path)
        .collect();
    let questions = [
        "/tasks/query",
        "/v1/tasks/results",
        "/v1/tasks/outputs",
        "/v1/tasks/states",
        "/v1/jobs/query",
        "/v1/jobs/wait",
        "/v1/jobs/{job}/tasks",
        "/v1/schedules/query",
        "/tasks/download/artifacts",
        "/tasks/download/artifacts/list",
        "/groups/{group}/attachments/query",
        "/groups/{group}/download/attachments",
        "/groups/{group}/download/attachments/list",
        "/workers/query",
    ];
    assert_eq!(changing, questions);
}
