//! The version of this program, and its build.

/// The version.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The version with the commit and the time of the build.
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
