//! `POST /v1/agents/poll`: held until there is something to tell an agent.

use axum::Json;
use axum::extract::State;
use mitosis_domain::crash;
use mitosis_protocol::agent::{MAX_BATCH, PollReply, PollRequest};
use mitosis_store::ops::dispatch::{Exchanged, Given};
use tokio::time::{Instant, sleep_until};

use super::{assigned, too_many, wanted};
use crate::api::body::Body;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::follow::MOST_WAIT;
use crate::app::App;
use crate::auth::agent::{Agent, AgentCaller};
use crate::auth::worker::not_registered;
use crate::dispatch::agents::Due;
use crate::dispatch::held_attempts::{Differences, compare};
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, chain};

/// Most attempts that an agent may name: far more than it is ever given.
const MOST_HELD: usize = 10 * MAX_BATCH;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/agents/poll", Asks::Worker, poll, "Wait for tasks and messages")
}

/// A sign of life, a question for tasks, and an ear for whatever else there is. 401 when the agent is not
/// registered any more.
async fn poll(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Body(request): Body<PollRequest>,
) -> Result<Json<PollReply>, ApiError> {
    if request.held.len() > MOST_HELD {
        return Err(too_many(MOST_HELD, "attempts").into());
    }
    let Some(due) = app.agents.asks(agent.uuid, request.resync, request.heard, app.lease) else {
        return Err(not_registered(&app, agent.uuid).await);
    };
    app.agents.tells_states(agent.uuid, request.tells_states);
    let deadline = Instant::now() + request.wait.unwrap_or_default().min(MOST_WAIT);
    let reply = PollReply { announce: app.announcer.is_on(), ..PollReply::default() };
    let mut held = Held { app: &app, agent, request: &request, reply, renewed: None };
    let outcome = held.until(deadline, &due).await;
    let Held { reply, renewed, .. } = held;
    crash::point("poll.parked:after");
    if !reply.tasks.is_empty() {
        crash::point("claim.reply:before");
    }
    if !reply.stop.is_empty() {
        crash::point("cancel.delivered:before");
    }
    outcome.inspect_err(|_| app.agents.forget(agent.uuid))?;
    if let Some(at) = renewed {
        app.agents.renewed(agent.uuid, at);
    }
    Ok(Json(reply))
}

/// A request that is held.
struct Held<'a> {
    app: &'a App,
    agent: Agent,
    request: &'a PollRequest,
    reply: PollReply,
    /// When its lease was renewed.
    renewed: Option<Instant>,
}

impl Held<'_> {
    /// Ends when there is something to tell, or at the deadline.
    async fn until(&mut self, deadline: Instant, due: &Due) -> Result<(), ApiError> {
        let Self { app, agent, request, .. } = *self;
        let renewal = app.renewals.renew(agent.id, due.terms);
        tokio::pin!(renewal);
        let mut renewing = due.renewal;
        let want = wanted(request.want);
        let work = app.batcher.wait_for_work(agent.id, want, app.entropy.number());
        tokio::pin!(work);
        // Whatever there is to tell may have come up between two requests.
        let mut comparing = self.hear() || due.comparison;
        crash::point("poll.parked:before");
        loop {
            if comparing {
                self.compare().await?;
                comparing = false;
            }
            if self.has_something() {
                return Ok(());
            }
            tokio::select! {
                // First of all what was given: it would have to be taken back.
                biased;
                given = &mut work, if want > 0 => return self.take(given?).await,
                renewed = &mut renewal, if renewing => {
                    renewing = false;
                    match renewed {
                        Ok(Renewal::Renewed) => {
                            self.reply.lease = Some(due.terms.lease);
                            self.reply.missed_after = Some(due.terms.missed_after);
                            self.renewed = Some(Instant::now());
                        }
                        Ok(Renewal::Gone) => return Err(not_registered(app, agent.uuid).await),
                        Err(error) => {
                            tracing::warn!(cause = chain(&*error), "failed to renew a lease");
                        }
                    }
                }
                () = due.wake.notified() => comparing = self.hear(),
                () = sleep_until(deadline) => return Ok(()),
                () = app.stopping.cancelled() => return Ok(()),
            }
        }
    }

    fn has_something(&self) -> bool {
        match self.request.draining {
            true => !PollReply { drain: false, ..self.reply.clone() }.is_empty(),
            false => !self.reply.is_empty(),
        }
    }

    /// Takes messages; answers whether the store has to be asked.
    fn hear(&mut self) -> bool {
        let (message, number) = self.app.agents.message(self.agent.uuid, || self.number());
        self.reply.number = number.or(self.reply.number);
        self.reply.followed.extend(message.followed);
        self.reply.watched.extend(message.watched);
        message.compare
    }

    /// A new number for a reply; 0 is none.
    fn number(&self) -> u64 {
        self.app.entropy.number().unsigned_abs().max(1)
    }

    async fn take(&mut self, given: Exchanged) -> Result<(), ApiError> {
        match given.given {
            Given::Work(work, _) => self.reply.tasks.extend(assigned(self.app, self.agent, work)?),
            Given::Stopping => self.reply.drain = true,
            Given::WorkerGone => return Err(not_registered(self.app, self.agent.uuid).await),
        }
        Ok(())
    }

    /// Compares what the agent says it holds with what the store says. A database that is away is no
    /// reason to tell anything.
    async fn compare(&mut self) -> Result<(), ApiError> {
        let duties = match self.app.held_attempts.of(self.agent.id).await {
            Ok(Some(duties)) => duties,
            Ok(None) => return Err(not_registered(self.app, self.agent.uuid).await),
            Err(error) => {
                tracing::debug!(cause = chain(&*error), "failed to load held attempts");
                return Ok(());
            }
        };
        let Differences { dropped, stop, unknown, drain } =
            compare(&self.request.held, &duties, self.request.resync, self.app.now());
        self.reply.dropped = dropped;
        self.reply.stop = stop;
        self.reply.drain |= drain;
        if self.has_something() {
            self.reply.number = self.app.agents.tells(self.agent.uuid, || self.number());
        }
        if !unknown.is_empty() {
            let work = self.app.store.held_work(self.agent.id, &unknown).await?;
            self.reply.tasks.extend(assigned(self.app, self.agent, work)?);
        }
        Ok(())
    }
}
