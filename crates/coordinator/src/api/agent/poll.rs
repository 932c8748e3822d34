//! `POST /v1/agents/poll`: the long poll of an agent for tasks and messages.

use axum::Json;
use axum::extract::State;
use mitosis_domain::failpoints;
use mitosis_protocol::LeaseToken;
use mitosis_protocol::agent::{MAX_BATCH, MAX_INLINE_BYTES, PollReply, PollRequest};
use mitosis_store::ops::dispatch::{Assigned, Exchanged};
use tokio::time::{Instant, sleep_until};

use super::{assigned, too_many, wanted};
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::agent::{Agent, AgentCaller};
use crate::auth::worker::not_registered;
use crate::dispatch::agents::{Due, Features};
use crate::dispatch::held_attempts::{Differences, compare};
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, chain};

/// The largest number of attempts that an agent may list: more than it is ever assigned.
const MAX_HELD: usize = 10 * MAX_BATCH;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/agents/poll", Access::Worker, poll, "Wait for tasks and messages")
}

/// Renews the lease, assigns tasks and delivers messages. The request is held until there is something to deliver.
/// Replies 401 if the agent is no longer registered.
async fn poll(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Body(request): Body<PollRequest>,
) -> Result<Json<PollReply>, ApiError> {
    if request.held.len() > MAX_HELD {
        return Err(too_many(MAX_HELD, "attempts").into());
    }
    let Some(due) = app.agents.poll(agent.uuid, request.resync, request.heard, app.lease) else {
        return Err(not_registered(&app, agent.uuid).await);
    };
    app.agents.set_features(
        agent.uuid,
        Features {
            reports_states: request.tells_states,
            knows_surroundings: request.knows_surroundings,
            knows_secrets: request.knows_secrets,
        },
    );
    let deadline = Instant::now() + request.wait.unwrap_or_default().min(MAX_WAIT);
    let reply = PollReply {
        announce: app.announcer.is_on(),
        inline_bytes: Some(MAX_INLINE_BYTES),
        ..PollReply::default()
    };
    let mut held = HeldPoll { app: &app, agent, request: &request, reply, renewed: None };
    let outcome = held.until(deadline, &due).await;
    let HeldPoll { reply, renewed, .. } = held;
    failpoints::point("poll.parked:after");
    if !reply.tasks.is_empty() {
        failpoints::point("claim.reply:before");
    }
    if !reply.stop.is_empty() {
        failpoints::point("cancel.delivered:before");
    }
    outcome.inspect_err(|_| app.agents.remove(agent.uuid))?;
    if let Some(at) = renewed {
        app.agents.renewed(agent.uuid, at);
    }
    Ok(Json(reply))
}

/// A held request.
struct HeldPoll<'a> {
    app: &'a App,
    agent: Agent,
    request: &'a PollRequest,
    reply: PollReply,
    /// When the lease was renewed.
    renewed: Option<Instant>,
}

impl HeldPoll<'_> {
    /// Returns when there is something to deliver, or at the deadline.
    async fn until(&mut self, deadline: Instant, due: &Due) -> Result<(), ApiError> {
        let Self { app, agent, request, .. } = *self;
        let renewal = app.renewals.renew(agent.id, due.terms);
        tokio::pin!(renewal);
        let mut renewing = due.renewal;
        let want = wanted(request.want);
        let wanted = (want, request.has_room);
        let work = app.batcher.wait_for_work(agent.id, wanted, LeaseToken(app.entropy.number()));
        tokio::pin!(work);
        // A message may have arrived between two requests.
        let mut comparing = self.take_message() || due.comparison;
        failpoints::point("poll.parked:before");
        loop {
            if comparing {
                self.compare().await?;
                comparing = false;
            }
            if self.has_content() {
                return Ok(());
            }
            tokio::select! {
                // Assigned tasks come first: otherwise they would have to be requeued.
                biased;
                exchanged = &mut work, if want > 0 || request.has_room => return self.accept(exchanged?).await,
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
                () = due.wake.notified() => comparing = self.take_message(),
                () = sleep_until(deadline) => return Ok(()),
                () = app.stopping.cancelled() => return Ok(()),
            }
        }
    }

    fn has_content(&self) -> bool {
        match self.request.draining {
            true => !PollReply { drain: false, ..self.reply.clone() }.is_empty(),
            false => !self.reply.is_empty(),
        }
    }

    /// Adds pending messages to the reply. Returns whether to compare with the store.
    fn take_message(&mut self) -> bool {
        let (message, number) = self.app.agents.take_message(self.agent.uuid, || self.number());
        self.reply.number = number.or(self.reply.number);
        self.reply.followed.extend(message.followed);
        self.reply.watched.extend(message.watched);
        message.compare
    }

    /// A random number for a reply; 0 means none.
    fn number(&self) -> u64 {
        self.app.entropy.number().unsigned_abs().max(1)
    }

    async fn accept(&mut self, exchanged: Exchanged) -> Result<(), ApiError> {
        match exchanged.assigned {
            Assigned::Work(work, _) => self.reply.tasks.extend(assigned(self.app, self.agent, work).await?),
            Assigned::Stopping => self.reply.drain = true,
            Assigned::WorkerGone => return Err(not_registered(self.app, self.agent.uuid).await),
        }
        Ok(())
    }

    /// Compares the attempts that the agent holds with the store. During an outage of the database, nothing is reported.
    async fn compare(&mut self) -> Result<(), ApiError> {
        let known = match self.app.held_attempts.of(self.agent.id).await {
            Ok(Some(known)) => known,
            Ok(None) => return Err(not_registered(self.app, self.agent.uuid).await),
            Err(error) => {
                tracing::debug!(cause = chain(&*error), "failed to load held attempts");
                return Ok(());
            }
        };
        let Differences { dropped, stop, unknown, drain } =
            compare(&self.request.held, &known, self.request.resync, self.app.now());
        self.reply.dropped = dropped;
        self.reply.stop = stop;
        self.reply.drain |= drain;
        if self.has_content() {
            self.reply.number = self.app.agents.deliver_comparison(self.agent.uuid, || self.number());
        }
        if !unknown.is_empty() {
            let work = self.app.store.held_work(self.agent.id, &unknown).await?;
            self.reply.tasks.extend(assigned(self.app, self.agent, work).await?);
        }
        Ok(())
    }
}
