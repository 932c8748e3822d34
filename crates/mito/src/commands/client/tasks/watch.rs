//! `mito client tasks watch`: where tasks stand, as it changes.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use mitosis_client::EventScope;
use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;

use super::wait::open;
use crate::commands::client::session::Session;
use crate::commands::select::Wanted;
use crate::failure::Failure;
use crate::outage::Outage;
use crate::show::{Ended, Output};

/// Lines of the table on a terminal: what changed last.
const LINES: usize = 20;

/// Of the tasks that are named until all are over; of all tasks of all own groups until interrupted.
pub(super) async fn watch(
    selectors: &[String],
    session: &mut Session<'_>,
    out: &Output,
) -> Result<(), Failure> {
    let wanted = Wanted::read(selectors)?;
    let mut outage = Outage::new();
    let identity = session.identity_for_a_wait(&mut outage).await?;
    let client = &identity.client;
    let (mut events, mut heard) = (open(client, &EventScope::Own, None, &mut outage).await?, None);
    let mut screen = Screen::new(out);
    let mut left: Option<BTreeSet<Uuid>> = None;
    if !selectors.is_empty() {
        let found = wanted.find(client, &mut outage).await?;
        left = Some(found.iter().filter(|task| task.result.is_none()).map(|task| task.uuid).collect());
        for task in found.into_iter().rev() {
            screen.show(task)?;
        }
    }
    let known: Option<Vec<Uuid>> = left.as_ref().map(|left| left.iter().copied().collect());
    while left.as_ref().is_none_or(|left| !left.is_empty()) {
        match events.next().await {
            Ok(Some((id, event))) => {
                heard = Some(id);
                if known.as_ref().is_some_and(|known| known.binary_search(&event.uuid).is_err()) {
                    continue;
                }
                if let Some(left) = left.as_mut().filter(|_| event.result.is_some()) {
                    left.remove(&event.uuid);
                }
                screen.show(event)?;
            }
            broken => {
                match broken {
                    Err(error) => outage.wait(error, || "watch again later".to_owned()).await?,
                    Ok(_) => outage.pause().await,
                }
                events = open(client, &EventScope::Own, heard.as_deref(), &mut outage).await?;
            }
        }
    }
    Ok(())
}

/// Lines as they come, or a table that is drawn again in its place.
struct Screen<'a> {
    out: &'a Output,
    last: Vec<Ended>,
    drawn: usize,
}

impl<'a> Screen<'a> {
    fn new(out: &'a Output) -> Self {
        Self { out, last: Vec::new(), drawn: 0 }
    }

    fn show(&mut self, event: TaskEvent) -> Result<(), Failure> {
        let task = Ended::from(event);
        if !self.out.is_watched() {
            let mut rows = self.out.rows();
            rows.push(&task)?;
            return rows.finish();
        }
        self.last.retain(|other| other.uuid() != task.uuid());
        self.last.push(task);
        if self.last.len() > LINES {
            self.last.remove(0);
        }
        if self.drawn > 0 {
            write!(io::stdout(), "\x1b[{}A\x1b[J", self.drawn)
                .map_err(|error| Failure::io("can't write to standard output", error))?;
        }
        // A line of titles, and one for each.
        self.drawn = self.last.len() + 1;
        self.out.all(&self.last)
    }
}
