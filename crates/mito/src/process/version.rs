//! What this program is, and what it was built from.

/// The version alone.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The version, and what it was built from.
pub(crate) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit  ",
    env!("MITO_BUILD_COMMIT"),
    "\nbuilt   ",
    env!("MITO_BUILD_DATE"),
    "\nrustc   ",
    env!("MITO_BUILD_RUSTC"),
    "\ntarget  ",
    env!("MITO_BUILD_TARGET"),
);
