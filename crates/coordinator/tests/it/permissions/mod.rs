//! Who may do what: every route, asked by everybody there is.

mod table;
mod target;

use mitosis_coordinator::{Asks, Route};
use mitosis_protocol::Role;
use serde_json::json;

use crate::harness::{ADMIN, Harness};
pub(crate) use table::rows;
use table::{ACCOUNTS, GROUPS, Row, TASKS, WORKER_SIDE, WORKERS};
use target::Cast;

/// Whoever may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Nobody,
    MalformedToken,
    ExpiredToken,
    SupersededToken,
    LockedUser,
    DeletedUser,
    Outsider,
    /// Was Admin of the group.
    LeftUser,
    Reader,
    Writer,
    GroupAdmin,
    /// A personal token of the group's Admin.
    ReadToken,
    /// The same.
    WriteToken,
    SiteAdmin,
    /// A worker that the group may use, and that holds the task.
    OwnWorker,
    /// A worker of somebody else.
    ForeignWorker,
    /// Served the group before its owner left.
    WorkerOfOneWhoLeft,
    WorkerOfALockedUser,
    RemovedWorker,
}

const EVERYBODY: [Asker; 19] = [
    Asker::Nobody,
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
    /// The user who asks, or whose token or worker does. The password is the name.
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

    /// Whether it is a user who has logged in.
    fn is_session(self) -> bool {
        !matches!(self, Self::ReadToken | Self::WriteToken | Self::WorkerOfOneWhoLeft)
    }
}

/// What a route asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// What none of those who ask has; the answer.
    Nobody(u16),
    /// Any user who is let in.
    AnyUser,
    /// A user with a session.
    PasswordUser,
    /// The same, whom this request then refuses for another reason.
    PasswordBut(u16),
    /// This role in the group; outsiders are answered with this status.
    Member(Role, u16),
    /// The same, and those who are let in are answered with the second status, for another reason.
    MemberBut(Role, u16, u16),
    /// Everybody is answered; this role decides whether the one item named is counted under this name.
    Counted(Role, &'static str),
    /// The flag of a site administrator.
    SiteAdmin,
    /// The same, and a secret that nobody here has.
    SiteAdminWithSecret,
    /// A registered worker.
    AnyWorker,
    /// The same, or one whose owner is locked: it gives its own tasks back.

    /// The worker that holds the task; others are answered with this status.
    Holder(u16),
    /// What no worker may; the answer to all of them.
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

/// The status that the asker is answered with, and whether something is counted.
fn expected(needs: Needs, asks: Asks, asker: Asker) -> (u16, Option<bool>) {
    match needs {
        Nothing => return (200, None),
        Needs::Nobody(status) => return (status, None),
        _ => {}
    }
    let role = match asker {
        Asker::Nobody => return (400, None),
        // The flag is looked at before the session (HTTP contract §3).
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
        Asker::ReadToken if asks != Asks::Look => return (403, None),
        Asker::WriteToken if !matches!(asks, Asks::Look | Asks::Change) => return (403, None),
        Asker::Outsider | Asker::LeftUser | Asker::SiteAdmin => None,
        Asker::Reader => Some(Role::Read),
        Asker::Writer => Some(Role::Write),
        Asker::GroupAdmin | Asker::ReadToken | Asker::WriteToken => Some(Role::Admin),
    };
    match needs {
        AnyUser | PasswordUser | Nothing => (200, None),
        PasswordBut(status) | Needs::Nobody(status) => (status, None),
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

/// The route that a row asks.
fn route_of((method, path, _, _): Row, routes: &[Route]) -> Option<Route> {
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let mut parts = path.split('/');
        let whole = template.split('/').all(|wanted| match parts.next() {
            // A key may be longer than one part.
            Some(part) if wanted.starts_with("{*") => !part.is_empty() && parts.by_ref().count() < 9,
            Some(part) => part == wanted || wanted.starts_with('{'),
            None => false,
        });
        whole && parts.next().is_none()
    };
    let found = routes.iter().filter(|route| route.method == method && fits(route.path));
    // What is written out goes before what is filled in.
    found.min_by_key(|route| route.path.matches('{').count() + route.path.matches("{*").count()).copied()
}

async fn whoever_asks_is_let_in_or_not(harness: &Harness, table: &[Row]) {
    let (cast, routes) = (Cast::assemble(harness).await, mitosis_coordinator::routes());
    let mut wrong = Vec::new();
    for asker in EVERYBODY {
        for row in table.iter().copied() {
            let (method, path, body, needs) = row;
            let asks = route_of(row, &routes).expect("a route that there is").asks;
            let (status, counted) = expected(needs, asks, asker);
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
        table.len() * EVERYBODY.len(),
        wrong.join("\n")
    );
}

pub(crate) async fn routes_of_accounts_let_in_whom_they_should(harness: Harness) {
    whoever_asks_is_let_in_or_not(&harness, ACCOUNTS).await;
}

pub(crate) async fn routes_of_groups_let_in_whom_they_should(harness: Harness) {
    whoever_asks_is_let_in_or_not(&harness, GROUPS).await;
}

pub(crate) async fn routes_of_tasks_let_in_whom_they_should(harness: Harness) {
    whoever_asks_is_let_in_or_not(&harness, TASKS).await;
}

pub(crate) async fn routes_of_workers_let_in_whom_they_should(harness: Harness) {
    whoever_asks_is_let_in_or_not(&harness, WORKERS).await;
}

pub(crate) async fn routes_for_workers_let_in_whom_they_should(harness: Harness) {
    whoever_asks_is_let_in_or_not(&harness, WORKER_SIDE).await;
}

/// A new route needs a row, and the row has to agree with what the route declares.
#[test]
fn every_route_has_a_row_that_agrees_with_it() {
    let routes = mitosis_coordinator::routes();
    let mut without = routes.clone();
    for row in rows() {
        let route = route_of(row, &routes).unwrap_or_else(|| panic!("{} {} leads nowhere", row.0, row.1));
        without.retain(|other| *other != route);
        let agrees = match row.3 {
            Nothing => route.asks == Asks::Nothing,
            Needs::Nobody(_) => route.asks == Asks::Link,
            AnyUser | Member(..) | MemberBut(..) | Counted(..) => {
                matches!(route.asks, Asks::Look | Asks::Change)
            }
            PasswordUser | PasswordBut(_) => route.asks == Asks::Password,
            Needs::SiteAdmin | SiteAdminWithSecret => route.asks == Asks::Admin,
            AnyWorker | Holder(_) | NoWorker(_) => route.asks == Asks::Worker,
        };
        assert!(agrees, "{} {} needs {:?} and asks for {:?}", row.0, row.1, row.3, route.asks);
    }
    assert!(without.is_empty(), "without a row: {without:#?}");
}

/// What only looks is a GET, or one of the questions that are too long for one.
#[test]
fn only_questions_are_open_to_a_token_that_reads() {
    let changing: Vec<_> = mitosis_coordinator::routes()
        .into_iter()
        .filter(|route| route.asks == Asks::Look && route.method != "GET")
        .map(|route| route.path)
        .collect();
    let questions = [
        "/tasks/query",
        "/v1/tasks/results",
        "/tasks/download/artifacts",
        "/tasks/download/artifacts/list",
        "/groups/{group}/attachments/query",
        "/groups/{group}/download/attachments",
        "/groups/{group}/download/attachments/list",
        "/workers/query",
    ];
    assert_eq!(changing, questions);
}
