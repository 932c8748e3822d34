//! `mito client groups attachments get`.

use super::place::Place;
use crate::cli::client::attachments::PlaceArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn get(args: &PlaceArgs, identity: &Identity) -> Result<(), Failure> {
    let place = Place::of_existing(args, &identity.name)?;
    let info = identity.client.attachment(&place.group, &place.key).await?;
    show::line(format_args!("key         {}", place.key))?;
    show::line(format_args!("group       {}", place.group))?;
    show::line(format_args!("size        {} bytes", info.size))?;
    show::line(format_args!("created     {}", info.created_at))?;
    show::line(format_args!("updated     {}", info.updated_at))
}
