//! What has to be known to explain a task.

use async_trait::async_trait;
use mitosis_domain::explain::Facts;
use uuid::Uuid;

use crate::StoreError;

/// What has to be known to explain a task.
#[async_trait]
pub trait Explain {
    /// A task with what surrounds it, all of one moment; none when there is no such task. Costs what the
    /// workers of its group cost and no more than [`COUNTED`] tasks in line, however many wait.
    ///
    /// [`COUNTED`]: mitosis_domain::explain::Ahead::COUNTED
    async fn facts(&self, uuid: Uuid) -> Result<Option<Facts>, StoreError>;
}
