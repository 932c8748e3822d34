//! `mito manager status`: how everybody is.

use crate::failure::Failure;
use crate::manager::call;
use crate::manager::place::Place;
use crate::manager::wire::{Reply, Request};
use crate::show;

pub(super) async fn run(place: &Place) -> Result<(), Failure> {
    let workers = match call::ask(place, &Request::Status).await? {
        Some(Reply::Workers(workers)) => workers,
        _ => Vec::new(),
    };
    show::managed(&workers)
}
