//! `mito client auth`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, Whoami};

pub(super) fn auth(identity: &Identity, out: &Output) -> Result<(), Failure> {
    out.one_line(&Whoami { username: identity.name.clone() })
}
