//! `mito client auth`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::{Output, Whoami};

pub(super) fn auth(identity: &Identity, out: &Output) -> Result<(), Failure> {
    out.one_line(&Whoami { username: identity.name.clone() })
}
