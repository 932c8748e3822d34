//! Tasks that a task names: those whose archives it fetches, and the one that it watches. Whoever submits it
//! must be in their groups.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::account::User;
use mitosis_domain::spec;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{TaskSpec, Uuid};

use crate::app::App;
use crate::error::{ApiError, Refusal, ResourceKind};

/// The tasks that are named in a request and exist, and whether the user may see each.
pub(super) struct Named(HashMap<Uuid, bool>);

impl Named {
    /// Looks at the tasks that any of the requests names; mostly there are none.
    pub(super) async fn by_all(
        app: &App,
        user: &User,
        requests: &[SubmitTaskRequest],
    ) -> Result<Self, ApiError> {
        Self::look(app, user, requests.iter().flat_map(|request| spec::referenced_tasks(&request.task_spec)))
            .await
    }

    async fn look(app: &App, user: &User, named: impl Iterator<Item = Uuid>) -> Result<Self, ApiError> {
        let named: BTreeSet<Uuid> = named.collect();
        if named.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let named: Vec<Uuid> = named.into_iter().collect();
        Ok(Self(app.store.tasks_seen_by(user.id, &named).await?))
    }

    /// 404 for a task that does not exist, 403 for one in a group that the user is not in.
    pub(super) fn check(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        spec::referenced_tasks(spec).try_for_each(|task| match self.0.get(&task) {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::forbidden(format!(
                "the task names task `{task}`, which is not in a group of yours"
            ))
            .hint("ask an Admin of that task's group to make you a member")),
            None => Err(Refusal::no_such(ResourceKind::Task, task)),
        })
    }
}

/// The same for one task.
pub(super) async fn of_one(app: &App, user: &User, spec: &TaskSpec) -> Result<(), ApiError> {
    Ok(Named::look(app, user, spec::referenced_tasks(spec)).await?.check(spec)?)
}
