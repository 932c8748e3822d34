//! Tasks that a task refers to: those whose archives it downloads, and the one that it watches. The submitter must be a
//! member of their groups.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::account::User;
use mitosis_domain::spec;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{TaskSpec, Uuid};

use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind};

/// The existing tasks that a request refers to, and whether the user may view each.
pub(in crate::api::user) struct TaskReferences(HashMap<Uuid, bool>);

impl TaskReferences {
    /// Loads the tasks that the requests refer to.
    pub(in crate::api::user) async fn load<'a>(
        app: &App,
        user: &User,
        requests: impl Iterator<Item = &'a SubmitTaskRequest>,
    ) -> Result<Self, ApiError> {
        Self::find(app, user, requests.flat_map(|request| spec::referenced_tasks(&request.task_spec))).await
    }

    async fn find(app: &App, user: &User, named: impl Iterator<Item = Uuid>) -> Result<Self, ApiError> {
        let named: BTreeSet<Uuid> = named.collect();
        if named.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let named: Vec<Uuid> = named.into_iter().collect();
        Ok(Self(app.store.tasks_seen_by(user.id, &named).await?))
    }

    /// 404 for a task that does not exist, 403 for one in a group that the user is not in.
    pub(in crate::api::user) fn check(&self, spec: &TaskSpec) -> Result<(), Rejection> {
        spec::referenced_tasks(spec).try_for_each(|task| match self.0.get(&task) {
            Some(true) => Ok(()),
            Some(false) => Err(Rejection::forbidden(format!(
                "the task refers to task `{task}`, and you are not a member of its group"
            ))
            .hint("ask an Admin of that group to add you")),
            None => Err(Rejection::no_such(ResourceKind::Task, task)),
        })
    }
}

/// Checks the tasks that one task refers to.
pub(super) async fn check(app: &App, user: &User, spec: &TaskSpec) -> Result<(), ApiError> {
    Ok(TaskReferences::find(app, user, spec::referenced_tasks(spec)).await?.check(spec)?)
}
