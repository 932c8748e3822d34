//! Roles as they are sent: of users in a group, or of a worker in groups.

use mitosis_protocol::Role;
use mitosis_protocol::group::RelationsRequest;

use super::partial_failure::require_any;
use crate::process::failure::Failure;

/// The roles of those who were named; at least one has to be.
pub(super) fn relations(roles: &[(String, Role)], what: &str) -> Result<RelationsRequest, Failure> {
    require_any(roles, what)?;
    Ok(RelationsRequest { relations: roles.iter().cloned().collect() })
}
