//! `mito client tasks watch`: shows the states of tasks as they change.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use mitosis_client::{EventScope, UserClient};
use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;

use super::wait::open_events;
use crate::commands::client::session::Session;
use crate::commands::select::TaskSelection;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::redraw::{self, Redraw};
use crate::show::{Output, TaskChange};
use crate::task_io::states::{FEW, StateBatch, StatePoll};

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
    redraw: Redraw,
}

impl<'a> Screen<'a> {
    fn new(out: &'a Output) -> Self {
        Self { out, table: Table::default(), redraw: Redraw::default() }
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
        let out = self.out.again(at);
        let lines = self.table.lines(tasks, &out, redraw::height())?;
        self.redraw.draw(&lines, &out)
    }
}

/// The table on the terminal: the latest changes.
#[derive(Default)]
struct Table {
    last: Vec<TaskChange>,
}

impl Table {
    /// The lines of the table after changes.
    fn lines(
        &mut self,
        tasks: impl IntoIterator<Item = TaskChange>,
        out: &Output,
        height: Option<usize>,
    ) -> Result<Vec<String>, Failure> {
        let rows = redraw::rows_below(1, height);
        for task in tasks {
            self.last.retain(|other| other.uuid() != task.uuid());
            self.last.push(task);
            self.last.drain(..self.last.len().saturating_sub(rows));
        }
        out.lines(&self.last)
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
        TaskChange::from(TaskEvent {
            uuid,
            group_name,
            task_id: number,
            state,
            result: None,
            exit_code: None,
            warnings,
            at,
        })
    }

    /// Draws frames with a number of tasks. Returns the frames, and the number of lines of the last one.
    fn frames(tasks: i64, width: usize, height: Option<usize>) -> (Vec<String>, usize) {
        let (mut table, mut redraw) = (Table::default(), Redraw::default());
        let out = Output::at_a_terminal(width);
        let mut drawn = 0;
        let frames = (1..=tasks).map(|number| {
            let lines = table.lines([task(number)], &out, height).unwrap();
            drawn = lines.len();
            redraw.frame(&lines, &out)
        });
        (frames.collect(), drawn)
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
        let mut redraw = Redraw::default();
        let line = ["a line".to_owned()];
        redraw.frame(&line, &Output::at_a_terminal(100));
        let frame = redraw.frame(&line, &Output::at_a_terminal(40));
        assert!(frame.starts_with("\x1b[H\x1b[2J"), "{frame:?}");
    }

    #[test]
    fn ages_are_relative_to_now() {
        let out = Output::at_a_terminal(200);
        let soon = mitosis_protocol::Timestamp::from_unix_micros(4_000_000_000_000_000);
        let mut late = task(1);
        late.set_time(soon);
        let lines = Table::default().lines([late], &out.again(soon), None).unwrap().concat();
        assert!(lines.contains("now") && !lines.contains(", in "), "{lines}");
    }
}
