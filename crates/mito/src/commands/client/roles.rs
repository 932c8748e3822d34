//! The roles of users in a group, or of groups on a worker.

use mitosis_protocol::Role;
use mitosis_protocol::group::RelationsRequest;

use super::partial_failure::require_any;
use crate::process::failure::Failure;

/// Makes the request for at least one role.
pub(super) fn relations(roles: &[(String, Role)], what: &str) -> Result<RelationsRequest, Failure> {
    require_any(roles, what)?;
    Ok(RelationsRequest { relations: roles.iter().cloned().collect() })
}
