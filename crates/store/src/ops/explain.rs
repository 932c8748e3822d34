//! The facts that explain the state of a task.

use async_trait::async_trait;
use mitosis_domain::explain::Facts;
use mitosis_domain::explain::placement::Placement;
use mitosis_domain::ids::GroupId;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::ResourceRequest;
use uuid::Uuid;

use crate::StoreError;

/// The operation that explains the state of a task.
#[async_trait]
pub trait Explain {
    /// Reads a task and the facts about its state, from one snapshot; none if it doesn't exist. The cost
    /// depends on the number of workers of its group; of the tasks ahead of it, at most [`COUNTED`] are
    /// counted.
    ///
    /// [`COUNTED`]: mitosis_domain::explain::Ahead::COUNTED
    async fn facts(&self, uuid: Uuid) -> Result<Option<Facts>, StoreError>;

    /// Decides where a task of a group with these tags and this request can run. None if the workers don't depend on it: one
    /// speaks the legacy protocol, or none has the tags.
    async fn placement(
        &self,
        group: GroupId,
        tags: &TagSet,
        request: &ResourceRequest,
    ) -> Result<Option<Placement>, StoreError>;
}
