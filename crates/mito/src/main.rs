//! The mito binary: command line, configuration, roles and exit codes.
fn main() {}
