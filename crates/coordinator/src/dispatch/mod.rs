//! Between the store and the workers that wait: who is given what, who is woken, whose lease is renewed,
//! who is patient.

pub(crate) mod agents;
pub(crate) mod bell;
pub(crate) mod desk;
pub(crate) mod duties;
pub(crate) mod leases;
mod line;
pub(crate) mod patience;
pub(crate) mod post;
pub(crate) mod renewals;
