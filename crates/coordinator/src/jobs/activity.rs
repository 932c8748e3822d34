//! What ended in the last hour, by minute and group: one reader of the database for all pages that show it.
//!
//! A minute is read again until its commits are surely visible; after that it is kept. So the cost does not depend on the
//! number of readers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mitosis_domain::ids::GroupId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::activity::{ActivityMinute, ActivityReply};
use mitosis_store::{Store, StoreError};
use tokio::sync::Mutex;

/// The minutes that are shown, with the current one.
const MINUTES: i64 = 60;
/// Readers share what was read this recently.
const PERIOD: Duration = Duration::from_secs(10);
/// A commit is visible this long after the time that it records.
const GRACE: Duration = Duration::from_secs(30);
/// How long reading may take. After that, only later minutes are counted.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The microseconds of a minute.
const MICROS: i64 = 60_000_000;

/// The counts that are known.
#[derive(Debug, Default)]
pub(crate) struct Activity(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    minutes: BTreeMap<i64, HashMap<GroupId, ActivityMinute>>,
    /// Minutes before this one are not counted.
    from: i64,
    /// Minutes before this one do not change any more.
    complete: i64,
    read_at: Option<Timestamp>,
}

impl Activity {
    /// The sums of some groups.
    pub(crate) async fn read(
        &self,
        store: &dyn Store,
        now: Timestamp,
        groups: &[GroupId],
    ) -> Result<ActivityReply, StoreError> {
        let mut known = self.0.lock().await;
        known.refresh(store, now).await?;
        Ok(known.sums(now, groups))
    }
}

impl Known {
    async fn refresh(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        // A clock that was set back reads again, too.
        let is_fresh = |at: Timestamp| at <= now && now < at + PERIOD;
        if self.read_at.is_some_and(is_fresh) {
            return Ok(());
        }
        let current = minute_of(now);
        let first = current - MINUTES + 1;
        self.from = self.from.clamp(first, current);
        let since = self.complete.clamp(self.from, current);
        match store.activity(start_of(since), start_of(current + 1), TIMEOUT).await? {
            Some(found) => {
                self.minutes.retain(|minute, _| *minute < since);
                for one in found {
                    self.minutes.entry(one.minute).or_default().insert(one.group, one.counts);
                }
                self.complete = minute_of(now.saturating_sub(GRACE)).max(self.complete.min(current));
            }
            None => {
                tracing::warn!("counting what ended takes too long; it starts again now");
                self.minutes.clear();
                (self.from, self.complete) = (current, current);
            }
        }
        self.minutes = self.minutes.split_off(&first);
        self.read_at = Some(now);
        Ok(())
    }

    fn sums(&self, now: Timestamp, groups: &[GroupId]) -> ActivityReply {
        let sum = |minute: i64| {
            let mut sum = ActivityMinute::default();
            if let Some(counts) = self.minutes.get(&minute) {
                groups.iter().filter_map(|group| counts.get(group)).for_each(|counts| sum.add(counts));
            }
            sum
        };
        let minutes = (self.from..=minute_of(now).max(self.from)).map(sum).collect();
        ActivityReply { since: start_of(self.from), minutes }
    }
}

fn minute_of(time: Timestamp) -> i64 {
    time.unix_micros().div_euclid(MICROS)
}

fn start_of(minute: i64) -> Timestamp {
    Timestamp::from_unix_micros(minute * MICROS)
}
