//! `GET /v1/events`: many tasks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_store::ops::events::{Change, ChangeQuery, Cursor, Position};
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{CHECK_AGAIN, last_event_id, response, server_sent};
use crate::api::body::InQuery;
use crate::api::members;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing, groups_of};
use crate::error::{ApiError, chain};
use crate::events::feed::{Changes, OVERLAP};
use crate::shares::Counted;

/// Events that a stream reads at once when it catches up.
const PAGE: u64 = 1_000;
/// What was told is tidied up when it is twice as much as was left the last time, and more than this.
const KEPT: usize = 1_000;

/// What follows the question mark.
#[derive(Deserialize, ToSchema)]
struct Filter {
    /// Only of this group; all of the caller's unless given
    group: Option<String>,
    /// Only with this label
    label: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/events", Asks::Look, many, "Where tasks stand, as it changes")
}

async fn many(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    headers: HeaderMap,
    InQuery(filter): InQuery<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let group = match filter.group {
        Some(name) => Some((members::require(&app, &user, &name, Action::View).await?, name)),
        None => None,
    };
    let open = app.streams.open(user.id)?;
    let last = last_event_id(&headers)?;
    let begin = last.map_or_else(|| app.now(), |position| position.cursor.at) - OVERLAP;
    let mut many = Many {
        news: app.feed.listen(),
        app,
        _open: open,
        user,
        standing,
        group,
        label: filter.label,
        sees: Arc::default(),
        after: Cursor { at: begin, task: TaskId(0) },
        newest: begin,
        begun: None,
        is_behind: true,
        caught_up: Instant::now(),
        told: HashMap::new(),
        kept: KEPT,
        queue: VecDeque::new(),
    };
    if last.is_none() {
        many.begin().await?;
    }
    Ok(response(futures_util::stream::unfold(many, |mut many| async {
        let event = many.next().await?;
        Some((Ok(event), many))
    })))
}

/// A stream of many tasks.
struct Many {
    app: App,
    _open: Counted,
    user: User,
    standing: Standing,
    group: Option<(GroupId, String)>,
    label: Option<String>,
    /// The groups of the user, as far as they are asked for.
    sees: Arc<HashSet<GroupId>>,
    news: broadcast::Receiver<Arc<Changes>>,
    /// When the look began that found what was there before the stream.
    begun: Option<Instant>,
    /// Whether changes after `after` were missed, and have to be read.
    is_behind: bool,
    after: Cursor,
    /// The time of the last change that was read or heard of.
    newest: Timestamp,
    /// When the last look of its own began.
    caught_up: Instant,
    /// What was told lately, so that nothing is told twice.
    told: HashMap<TaskId, Position>,
    /// How much of it was of use lately.
    kept: usize,
    queue: VecDeque<Event>,
}

impl Many {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.app.stopping.is_cancelled() {
                return None;
            }
            match self.advance().await {
                Ok(()) => {}
                Err(error) if error.is_outage() => {
                    self.is_behind = true;
                    tokio::time::sleep(CHECK_AGAIN).await;
                }
                Err(error) => {
                    // A member no more, or a defect: the client asks again and is told.
                    tracing::debug!(cause = chain(&error), "an event stream ended");
                    return None;
                }
            }
        }
    }

    /// Waits for changes, or for the time to ask again whether the caller may still see.
    async fn advance(&mut self) -> Result<(), ApiError> {
        self.check().await?;
        if self.is_behind {
            return self.catch_up().await;
        }
        let mut check_again = pin!(tokio::time::sleep(CHECK_AGAIN));
        loop {
            let heard = tokio::select! {
                heard = self.news.recv() => heard,
                () = &mut check_again => return Ok(()),
                () = self.app.stopping.cancelled() => return Ok(()),
            };
            match heard {
                // There may be a thousand streams, and the change in a group that few of them see.
                Ok(changes) if self.sees.is_disjoint(&changes.groups) => self.pass_over(&changes),
                Ok(changes) => {
                    self.check().await?;
                    self.take(&changes);
                    return Ok(());
                }
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    self.is_behind = true;
                    return Ok(());
                }
            }
        }
    }

    /// Whether the caller may still see, and what.
    async fn check(&mut self) -> Result<(), ApiError> {
        self.standing.check(&self.app).await?;
        let mut sees = groups_of(&self.app, self.user.id).await?;
        if let Some((group, name)) = &self.group {
            if !sees.contains(group) {
                return Err(members::not_in(name, StatusCode::FORBIDDEN).into());
            }
            if self.sees.contains(group) {
                return Ok(());
            }
            sees = Arc::new(HashSet::from([*group]));
        }
        // What was not seen until now was not told.
        self.is_behind |= !sees.is_subset(&self.sees);
        self.sees = sees;
        Ok(())
    }

    /// Nothing of it is for the caller.
    fn pass_over(&mut self, heard: &Changes) {
        self.newest = self.newest.max(heard.newest);
        self.move_on(self.newest - OVERLAP);
    }

    fn take(&mut self, heard: &Changes) {
        let was_there = self.begun.is_some_and(|begun| heard.since <= begun);
        for found in &heard.found {
            let (position, change) = (found.position, &found.change);
            // The stream's own look was later, and found where the task stood then.
            let is_stale = heard.since <= self.caught_up && self.told.contains_key(&change.cursor.task);
            if self.asks_for(change) && !is_stale && self.is_new(position) && !was_there {
                self.queue.push_back(found.message(server_sent));
            }
        }
        self.pass_over(heard);
    }

    fn asks_for(&self, change: &Change) -> bool {
        self.sees.contains(&change.group)
            && self.label.as_deref().is_none_or(|wanted| change.labels.iter().any(|label| label == wanted))
    }

    /// Notes a position, and answers whether it was not told yet.
    fn is_new(&mut self, position: Position) -> bool {
        self.told.insert(position.cursor.task, position) != Some(position)
    }

    /// Where a look of its own would begin from now on.
    fn move_on(&mut self, horizon: Timestamp) {
        if horizon > self.after.at {
            self.after = Cursor { at: horizon, task: TaskId(0) };
            if self.told.len() > 2 * self.kept {
                self.told.retain(|_, position| position.cursor.at >= horizon);
                self.kept = self.told.len().max(KEPT);
            }
        }
    }

    /// What is there already is not told: what the next look finds, and those before it found. What is written later
    /// is told, also if it bears an earlier time.
    async fn begin(&mut self) -> Result<(), ApiError> {
        self.check().await?;
        let app = self.app.clone();
        // Without an answer, the coordinator stops and the stream ends.
        if let Some(begun) = app.stopping.run_until_cancelled(app.feed.look()).await {
            self.begun = Some(begun?);
            self.is_behind = false;
        }
        Ok(())
    }

    /// Reads what was missed, up to a page; listens from now on.
    async fn catch_up(&mut self) -> Result<(), ApiError> {
        let app = self.app.clone();
        let _turn = app.feed.turn_to_catch_up().await;
        self.news = app.feed.listen();
        let looked = Instant::now();
        let query = ChangeQuery { groups: self.sees.iter().copied().collect(), label: self.label.clone() };
        let mut after = self.after;
        loop {
            let page = app.store.changes(&query, after, PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            for change in page {
                after = change.cursor;
                let position = Position::of(change.cursor, &change.event);
                if self.is_new(position) {
                    self.queue.push_back(server_sent(position, &change.event));
                }
            }
            if is_last {
                break;
            }
            if self.queue.len() as u64 >= PAGE {
                self.after = after;
                return Ok(());
            }
        }
        self.newest = self.newest.max(after.at);
        self.caught_up = looked;
        self.is_behind = false;
        self.move_on(self.newest.min(app.now()) - OVERLAP);
        Ok(())
    }
}
