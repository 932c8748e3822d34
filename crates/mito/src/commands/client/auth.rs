//! `mito client auth`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) fn auth(identity: &Identity) -> Result<(), Failure> {
    show::line(&identity.name)
}
