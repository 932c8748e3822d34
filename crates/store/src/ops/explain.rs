//! The facts that explain the state of a task.

use async_trait::async_trait;
use mitosis_domain::explain::Facts;
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
}
