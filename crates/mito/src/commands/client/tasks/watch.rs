//! `mito client tasks watch`: shows the states of tasks as they change.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write as _};
use std::time::Duration;

use mitosis_client::{EventScope, UserClient};
use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;

use super::wait::open_events;
use crate::commands::client::session::Session;
use crate::commands::select::TaskSelection;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::{Output, TaskChange};
use crate::task_io::states::{FEW, StateBatch, StatePoll};

/// The number of rows on a terminal of unknown height.
const LINES: usize = 20;

/// The shortest pause between two reads of the states of many tasks.
const MIN_PAUSE: Duration = Duration::from_millis(250);

const LATER: &str = "watch again later";

/// Shows the selected tasks until all have ended, or all tasks of the user's groups until interrupted.
pub(super) async fn watch(
    selectors: &[String],
    session: &mut Session<'_>,
    out: &Output,
) -> Result<(), Failure> {
    let selection = TaskSelection::read(selectors)?;
    let mut reconnect = Reconnect::new();
    let identity = session.identity_and_reconnect(&mut reconnect).await?;
    let client = &identity.client;
    let (mut events, mut heard) = (open_events(client, &EventScope::Own, None, &mut reconnect).await?, None);
    let mut screen = Screen::new(out);
    let mut left: Option<BTreeSet<Uuid>> = None;
    if !selectors.is_empty() {
        let found = selection.find(client, &mut reconnect).await?;
        left = Some(found.iter().filter(|task| task.result.is_none()).map(|task| task.uuid).collect());
        let newest_first = found.iter().filter(|task| task.result.is_none()).map(|task| task.uuid).collect();
        screen.show(found.into_iter().rev().collect())?;
        if left.as_ref().is_some_and(|left| left.len() > FEW) {
            drop(events);
            return watch_many(newest_first, client, &mut screen, reconnect).await;
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
                screen.show(vec![event])?;
            }
            broken => {
                match broken {
                    Err(error) => {
                        reconnect.pause_after_error(error, || LATER.to_owned()).await?;
                    }
                    Ok(_) => reconnect.pause().await,
                }
                events = open_events(client, &EventScope::Own, heard.as_deref(), &mut reconnect).await?;
            }
        }
    }
    Ok(())
}

/// Shows the states of many tasks: a task that starts and ends between two reads appears once, as ended.
async fn watch_many(
    newest_first: Vec<Uuid>,
    client: &UserClient,
    screen: &mut Screen<'_>,
    mut reconnect: Reconnect,
) -> Result<(), Failure> {
    let mut poll = StatePoll::new(newest_first, MIN_PAUSE);
    let mut shown = HashSet::new();
    while !poll.is_done() {
        match poll.next(client).await {
            Ok(StateBatch { running, ended }) => {
                reconnect.reset();
                let now_running: HashSet<_> = running.iter().map(|task| (task.uuid, task.at)).collect();
                let started = running.into_iter().filter(|task| !shown.contains(&(task.uuid, task.at)));
                let changes: Vec<TaskEvent> = started.chain(ended).collect();
                shown = now_running;
                if !changes.is_empty() {
                    screen.show(changes)?;
                }
            }
            Err(error) if error.is_transient() => {
                reconnect.pause_after_error(error, || LATER.to_owned()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The output: lines, or a table that is redrawn in place.
struct Screen<'a> {
    out: &'a Output,
    table: Table,
}

impl<'a> Screen<'a> {
    fn new(out: &'a Output) -> Self {
        Self { out, table: Table::default() }
    }

    /// Shows changes, in their order.
    fn show(&mut self, events: Vec<TaskEvent>) -> Result<(), Failure> {
        let Some(at) = events.iter().map(|event| event.at).max() else { return Ok(()) };
        let tasks = events.into_iter().map(TaskChange::from);
        if !self.out.is_watched() {
            let mut rows = self.out.rows();
            tasks.into_iter().try_for_each(|task| rows.push(&task))?;
            return rows.finish();
        }
        let height = terminal_size::terminal_size_of(io::stdout()).map(|(_, height)| usize::from(height.0));
        let frame = self.table.frame(tasks, &self.out.again(at), height)?;
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(frame.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::io("cannot write to standard output", error))
    }
}

/// The table on the terminal: the latest changes.
#[derive(Default)]
struct Table {
    last: Vec<TaskChange>,
    /// The number of lines of the last frame.
    drawn: usize,
    /// The width of the last frame.
    width: Option<usize>,
}

impl Table {
    /// The text that replaces the last frame by the new one.
    fn frame(
        &mut self,
        tasks: impl IntoIterator<Item = TaskChange>,
        out: &Output,
        height: Option<usize>,
    ) -> Result<String, Failure> {
        // One line is for the titles and one for the cursor: a table that scrolls can't be redrawn.
        let lines = height.map_or(LINES, |height| height.saturating_sub(2).max(1));
        for task in tasks {
            self.last.retain(|other| other.uuid() != task.uuid());
            self.last.push(task);
            self.last.drain(..self.last.len().saturating_sub(lines));
        }
        let table = out.lines(&self.last)?;
        let back = match (self.drawn, self.width == out.width()) {
            (0, _) => String::new(),
            (drawn, true) => format!("\x1b[{drawn}A\x1b[J"),
            // The terminal has wrapped the lines differently.
            (_, false) => "\x1b[H\x1b[2J".to_owned(),
        };
        (self.drawn, self.width) = (table.len(), out.width());
        // Long lines are cut, as a wrapped row could not be redrawn.
        Ok(format!("{back}\x1b[?7l{}\r\n\x1b[?7h", table.join("\r\n")))
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskState, Timestamp};

    use super::*;

    fn task(number: i64) -> TaskChange {
        let uuid = Uuid::from_u128(u128::from(number.unsigned_abs()));
        let (at, state) = (Timestamp::UNIX_EPOCH, TaskState::Ready);
        let (group_name, warnings) = ("ann".into(), Vec::new());
        TaskChange::from(TaskEvent { uuid, group_name, task_id: number, state, result: None, warnings, at })
    }

    /// Draws frames with a number of tasks. Returns the rows of the last one.
    fn frames(tasks: i64, width: usize, height: Option<usize>) -> (Vec<String>, usize) {
        let mut table = Table::default();
        let out = Output::at_a_terminal(width);
        let frames = (1..=tasks).map(|number| table.frame([task(number)], &out, height).unwrap()).collect();
        (frames, table.drawn)
    }

    #[test]
    fn table_fits_the_height_of_the_terminal() {
        for (height, rows) in [(Some(10), 9), (Some(3), 2), (Some(1), 2), (Some(60), 51), (None, 21)] {
            let (_, drawn) = frames(50, 100, height);
            assert_eq!(drawn, rows, "{height:?}");
        }
    }

    #[test]
    fn frame_replaces_the_previous_one() {
        for width in [20, 40, 200] {
            let (frames, _) = frames(12, width, Some(8));
            let mut before = 0;
            for frame in frames {
                let up = if before == 0 { String::new() } else { format!("\x1b[{before}A\x1b[J") };
                assert!(frame.starts_with(&format!("{up}\x1b[?7l")), "{width}: {frame:?}");
                assert!(frame.ends_with("\x1b[?7h"), "lines are not cut for good: {frame:?}");
                before = frame.matches("\r\n").count();
                assert!(before < 8, "the screen would scroll: {frame:?}");
            }
        }
    }

    #[test]
    fn resized_terminal_is_cleared() {
        let mut table = Table::default();
        table.frame([task(1)], &Output::at_a_terminal(100), Some(20)).unwrap();
        let frame = table.frame([task(2)], &Output::at_a_terminal(40), Some(20)).unwrap();
        assert!(frame.starts_with("\x1b[H\x1b[2J"), "{frame:?}");
    }

    #[test]
    fn ages_are_relative_to_now() {
        let out = Output::at_a_terminal(200);
        let soon = mitosis_protocol::Timestamp::from_unix_micros(4_000_000_000_000_000);
        let mut late = task(1);
        late.set_time(soon);
        let frame = Table::default().frame([late], &out.again(soon), None).unwrap();
        assert!(frame.contains("now") && !frame.contains(", in "), "{frame}");
    }
}
