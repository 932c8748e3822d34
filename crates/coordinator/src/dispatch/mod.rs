//! Between the store and the workers that wait: who is woken, whose lease is renewed, who is patient.

pub(crate) mod bell;
pub(crate) mod patience;
pub(crate) mod renewals;
