//! Secrets of groups: which ones a submission may use, and the values that assigned tasks get.
//!
//! A value leaves the coordinator only with the assignment of a task that uses it, towards the worker that holds the lease.

pub(crate) mod cipher;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::secret::SecretValue;
use mitosis_protocol::{
    LeaseToken, ResultWarning, TaskResult, TaskResultMessage, TaskSpec, WaitStatus, WarningCode,
};
use mitosis_store::StoreError;
use mitosis_store::ops::dispatch::{Ended, Exchange, Verdict};
use mitosis_store::ops::secrets::SealedSecret;

use crate::app::App;
use crate::error::{ApiError, Rejection};
use cipher::Unreadable;

/// The result of a task that can't get its secrets. 0.6.8 clients know it.
pub(crate) const UNAVAILABLE: TaskResult =
    TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(TaskResultMessage::ResourceNotFound) };

/// The secrets of the groups of a request, and whether each can be decrypted.
pub(crate) struct KnownSecrets(HashMap<GroupId, HashMap<String, bool>>);

impl KnownSecrets {
    /// Loads the secrets of those groups whose tasks use any.
    pub(crate) async fn load(
        app: &App,
        tasks: impl Iterator<Item = (GroupId, &TaskSpec)> + Send,
    ) -> Result<Self, StoreError> {
        let groups: BTreeSet<GroupId> =
            tasks.filter(|(_, spec)| !spec.secrets.is_empty()).map(|(group, _)| group).collect();
        let mut known = HashMap::with_capacity(groups.len());
        for group in groups {
            let secrets = app.store.secrets(group).await?.into_iter();
            let of_group = secrets.map(|secret| (secret.name, app.secrets.is_own(&secret.key_id)));
            known.insert(group, of_group.collect());
        }
        Ok(Self(known))
    }

    /// Refuses a task that uses a secret which its group does not have.
    pub(crate) fn check(&self, group: GroupId, spec: &TaskSpec) -> Result<(), Rejection> {
        let known = self.0.get(&group);
        spec.secrets.values().try_for_each(|name| match known.and_then(|known| known.get(name)) {
            Some(true) => Ok(()),
            Some(false) => Err(Rejection::invalid(format!("the secret `{name}` can't be used: {}", Unreadable::OtherKey))
                .hint("an Admin of the group has to set it again with `mito secrets set`")),
            None => Err(Rejection::invalid(format!("the group has no secret `{name}`")).hint(
                "`mito secrets ls` lists the secrets of a group; an Admin of the group sets one with `mito secrets set`",
            )),
        })
    }
}

/// Checks the secrets that one task uses.
pub(crate) async fn check(app: &App, group: GroupId, spec: &TaskSpec) -> Result<(), ApiError> {
    Ok(KnownSecrets::load(app, [(group, spec)].into_iter()).await?.check(group, spec)?)
}

/// The encrypted values for assigned tasks.
pub(crate) struct SealedSecrets(HashMap<(GroupId, String), SealedSecret>);

impl SealedSecrets {
    /// Reads the values for some tasks; nothing if none uses a secret.
    pub(crate) async fn load(
        app: &App,
        tasks: impl Iterator<Item = (GroupId, &TaskSpec)> + Send,
    ) -> Result<Self, StoreError> {
        let names: BTreeSet<(GroupId, String)> = tasks
            .flat_map(|(group, spec)| spec.secrets.values().map(move |name| (group, name.clone())))
            .collect();
        if names.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let names: Vec<_> = names.into_iter().collect();
        app.retry.transient(|| app.store.sealed_secrets(&names)).await.map(Self)
    }

    /// The values for a task, by the names of their variables; an error says which secret it can't have, and why.
    pub(crate) fn values(
        &self,
        app: &App,
        group: GroupId,
        spec: &TaskSpec,
    ) -> Result<BTreeMap<String, SecretValue>, ResultWarning> {
        let value = |(variable, name): (&String, &String)| {
            let opened = match self.0.get(&(group, name.clone())) {
                Some(sealed) => app.secrets.open((group, name), sealed).map_err(|why| why.to_string()),
                None => Err("it was removed from the group".to_owned()),
            };
            opened.map(|value| (variable.clone(), value)).map_err(|why| {
                let text = format!("the secret `{name}` is not available: {why}");
                ResultWarning::new(WarningCode::SecretUnavailable, None, text)
            })
        };
        spec.secrets.iter().map(value).collect()
    }
}

/// Adds values to the variables of the command, for a worker that does not know secrets.
pub(crate) fn as_variables(spec: &mut TaskSpec, values: BTreeMap<String, SecretValue>) {
    spec.secrets.clear();
    spec.envs.extend(values.into_iter().map(|(name, value)| (name, value.expose().to_owned())));
}

/// Ends an attempt whose task can't get its secrets. Returns whether it was held.
pub(crate) async fn end_attempt(
    app: &App,
    worker: WorkerId,
    lease: LeaseKey,
    why: ResultWarning,
) -> Result<bool, ApiError> {
    let ended = Ended {
        lease,
        end: ExecEnd::Cancelled,
        result: UNAVAILABLE,
        data: None,
        warnings: vec![why],
        usage: None,
        archives: Vec::new(),
    };
    let exchange = Exchange {
        worker,
        ended: vec![ended],
        returned: Vec::new(),
        want: 0,
        has_room: false,
        token: LeaseToken(app.entropy.number()),
    };
    let exchanged = app.batcher.exchange(exchange).await?;
    Ok(exchanged.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Committed(_))))
}
